// fovea classify: which class texts are of, or each of their words.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/labelled_words.h"
#include "fovea/cli/model_folder.h"
#include "fovea/cli/text_lines.h"
#include "fovea/formats/json_writer.h"
#include "fovea/models/classifier_folder.h"
#include "fovea/text/load_tokenizer.h"

namespace fovea::cli {
namespace {

struct Options {
  std::string model;
  TextLines lines;
  std::int64_t top = 1;
  bool json = false, words = false;
  DTypeFlag dtype;
  int threads = 0;
};

std::string rounded(float probability) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", double{probability});
  return text;
}

formats::JsonWriter json_of(const decoding::InputText& text) {
  formats::JsonWriter json(formats::JsonWriter::Layout::compact);
  json.begin_object().field("text", text.text);
  if (text.second) json.field("second", *text.second);
  return json;
}

/// A line for each text: its most probable classes.
std::string class_line(const models::ClassNames& classes, const std::vector<float>& p,
                       const decoding::InputText& text, const Options& options) {
  const auto best = decoding::greatest(p, static_cast<std::size_t>(options.top));
  if (!options.json) {
    std::string line;
    for (const auto c : best)
      line.append(line.empty() ? "" : "\t").append(classes.names[c]).append("\t").append(rounded(p[c]));
    return line + "\n";
  }
  auto json = json_of(text);
  json.key("classes").begin_array();
  for (const auto c : best)
    json.begin_object()
        .field("label", classes.names[c])
        .field(classes.problem == models::Problem::regression ? "score" : "probability", p[c])
        .end_object();
  return json.end_array().end_object().finish() + "\n";
}

/// A line for each word of a text and an empty one behind them; as JSON one line in all.
std::string word_lines(const std::vector<LabelledWord>& words, const decoding::InputText& text,
                       bool as_json) {
  if (as_json) {
    auto json = json_of(text);
    json.key("words").begin_array();
    for (const auto& word : words)
      json.begin_object()
          .field("word", word.text)
          .field("begin", word.range.begin)
          .field("end", word.range.end)
          .field("label", word.label)
          .field("probability", word.probability)
          .end_object();
    return json.end_array().end_object().finish() + "\n";
  }
  std::string lines;
  for (const auto& word : words)
    lines.append(word.text)
        .append("\t")
        .append(word.label)
        .append("\t")
        .append(rounded(word.probability))
        .append("\n");
  return lines + "\n";
}

/// Texts by the thousand fill batches; few are answered as they come.
constexpr std::size_t most_texts = 512;

void classify_texts(const Options& options, const ops::Context& ctx) {
  const auto model = models::load_classifier(options.model, ctx.exec, options.dtype.wanted());
  const decoding::TextEncoder encoder(text::load_tokenizer(options.model, text::Lengths::free),
                                      model->vocabulary(), model->max_tokens(), shown(options.model));
  Output out;
  options.lines.for_each(most_texts, [&](const TextLines::Texts& texts) {
    const auto p = decoding::classify(ctx, *model, encode(encoder, texts));
    for (std::size_t i = 0; i < p.size(); ++i)
      out.write(class_line(model->classes(), p[i], texts.texts[i], options));
    out.flush();
  });
  warn_of_cuts(encoder);
}

void classify_words(const Options& options, const ops::Context& ctx) {
  const auto model = models::load_bert(options.model, ctx.exec, {}, options.dtype.wanted());
  const decoding::TextEncoder encoder(text::load_tokenizer(options.model, text::Lengths::free),
                                      model->vocabulary(), model->max_tokens(), shown(options.model));
  Output out;
  options.lines.for_each(most_texts, [&](const TextLines::Texts& texts) {
    const auto words = label_words(ctx, *model, encode(encoder, texts), texts.texts,
                                   options.words ? WordKind::spaced : WordKind::tokenizers);
    for (std::size_t i = 0; i < words.size(); ++i)
      out.write(word_lines(words[i], texts.texts[i], options.json));
    out.flush();
  });
  warn_of_cuts(encoder);
}

void classify(const Options& options) {
  refuse_checkpoint(options.model);
  const kernels::ExecutionOwner owner(options.threads);
  ops::Context ctx;
  ctx.exec = owner.get();
  if (labels_words(options.model)) return classify_words(options, ctx);
  if (options.words)
    throw Error(Error::Kind::usage, "--words", "this model labels whole texts, not their words",
                "leave it out");
  classify_texts(options, ctx);
}

}  // namespace

void add_classify(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("classify", "Say which class texts are of, or each of their words");
  const auto options = std::make_shared<Options>();
  command
      ->add_option(
          "--model", options->model,
          "Model directory: trained here, or a classifier of Transformers (BERT, DistilBERT, RoBERTa)")
      ->required()
      ->type_name("DIR");
  options->lines.add_to(*command);
  options->lines.add_pair_flag(*command);
  command->add_option("--top", options->top, "Give so many classes of a text, the most probable first")
      ->check(CLI::Range(1, 100000))
      ->type_name("K")
      ->capture_default_str();
  command->add_flag(
      "--words", options->words,
      "For a model that labels words: words stand between spaces, as in what it learned from; otherwise "
      "punctuation is apart");
  command->add_flag("--json", options->json, "Print an object a text, one a line");
  options->dtype.add_to(*command);
  add_threads_option(*command, options->threads);
  command->footer(
      "Prints LABEL, tab, PROBABILITY for each text; for a model that labels words WORD, LABEL, PROBABILITY\n"
      "for each word, and an empty line behind each text.\n"
      "Example: fovea classify --model runs/sst2 \"A gorgeous, witty, seductive movie.\"");
  command->callback([options] { classify(*options); });
}

}  // namespace fovea::cli
