// fovea attend: what a model looks at while it reads a sentence and its translation, a text or a pair of
// them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/cli/attention_output.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/decoding_options.h"
#include "fovea/cli/model_folder.h"
#include "fovea/decoding/translator.h"
#include "fovea/formats/adapter.h"
#include "fovea/formats/json.h"
#include "fovea/models/classifier_folder.h"
#include "fovea/models/language_folder.h"
#include "fovea/models/watch.h"
#include "fovea/text/load_tokenizer.h"
#include "fovea/text/piece_labels.h"

namespace fovea::cli {
namespace {

using attention::Recording;
using Ids = std::vector<std::int32_t>;

struct Options {
  std::string source, model;
  std::optional<std::string> target;
  AttentionOutput output;
  DecodingFlags decoding;
  int threads = 0;
};

/// The words of a text that hold what the vocabulary lacks, each in quotes.
template <class Encode>
std::vector<std::string> unknown_words(const std::string& text, std::int32_t unk, const Encode& encode) {
  std::vector<std::string> unknown;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const Ids ids = encode(word);
    if (std::ranges::find(ids, unk) != ids.end()) unknown.push_back("'" + fit_for_warning(word, 40) + "'");
  }
  return unknown;
}

void warn_of_unknown(const std::string& side, const std::vector<std::string>& words) {
  constexpr std::size_t most_named = 5;
  if (words.empty()) return;
  std::string text = side + ": " + counted(words.size(), "word") + " with what the model does not know: ";
  for (std::size_t i = 0; i < std::min(most_named, words.size()); ++i) text += (i > 0 ? ", " : "") + words[i];
  warn(text + (words.size() > most_named ? ", ..." : "") + "; read as <unk>");
}

/// A translation model that is watched while it reads a sentence and its translation.
class Translating {
 public:
  Translating(const Options& options, const std::string& folder, const kernels::Execution& exec)
      : options_(options),
        translate_(translate_options(folder, options.decoding)),
        exec_(exec),
        loaded_(load_model(folder, exec)) {
    translate_.shortlist = options.decoding.read_shortlist(loaded_.tokenizer);
  }

  Recording watched() const {
    const std::string source = argument_line(options_.source, "source");
    const Ids source_ids = loaded_.tokenizer.encode_source(source);
    if (source_ids.size() < 2)
      throw Error(Error::Kind::usage, "source", "is empty: there is nothing to look at",
                  "give it a sentence");
    const auto& tokenizer = loaded_.tokenizer;
    const std::int32_t unk = loaded_.model->vocabulary().unk;
    warn_of_unknown("source", unknown_words(source, unk, [&](const std::string& word) {
                      return tokenizer.encode_source(word);
                    }));
    const Ids target = options_.target ? given_target() : translation(source, source_ids.size());
    ops::Context ctx;
    ctx.exec = exec_;
    return models::watch(
        ctx, *loaded_.model, source_ids, target, [&](auto ids) { return tokenizer.source_pieces(ids); },
        [&](auto ids) { return tokenizer.target_pieces(ids); });
  }

 private:
  Ids given_target() const {
    const auto& tokenizer = loaded_.tokenizer;
    const std::string target = argument_line(*options_.target, "target");
    warn_of_unknown("target",
                    unknown_words(target, loaded_.model->vocabulary().unk,
                                  [&](const std::string& word) { return tokenizer.encode_target(word); }));
    Ids ids = tokenizer.encode_target(target);
    while (!ids.empty() && ids.back() == loaded_.model->vocabulary().eos) ids.pop_back();
    return ids;
  }

  Ids translation(const std::string& source, std::size_t tokens) const {
    const auto most =
        static_cast<std::size_t>(std::min(translate_.max_tokens, loaded_.model->max_positions()));
    if (tokens > most)
      throw Error(Error::Kind::usage, "source",
                  std::to_string(tokens) + " tokens: more than " + std::to_string(most) +
                      " are translated in parts, and seen in none",
                  std::cmp_less(most, loaded_.model->max_positions())
                      ? "give it a sentence at a time, or a larger --max-tokens"
                      : "give it a sentence at a time");
    const decoding::Translator translator(*loaded_.model, loaded_.tokenizer, exec_);
    const auto found = translator.translate(std::vector{source}, translate_).front();
    if (!found.complete) warn("the translation was cut at its greatest length");
    Ids ids = found.candidates.front().tokens;
    // A decoder reads one token more than it writes.
    const auto room = static_cast<std::size_t>(loaded_.model->max_positions()) - 1;
    if (ids.size() > room) ids.resize(room);
    return ids;
  }

  const Options& options_;
  decoding::TranslateOptions translate_;
  const kernels::Execution& exec_;
  LoadedModel loaded_;
};

void expect_words(bool any, const char* which) {
  if (!any)
    throw Error(Error::Kind::usage, which, "is empty: there is nothing to look at", "give it a sentence");
}

/// What a language model looks at, which reads one text.
Recording watched_text(const Options& options, const std::string& folder, const kernels::Execution& exec,
                       const models::LanguageModel& model) {
  if (options.target)
    throw Error(Error::Kind::usage, "target", "this model reads one text, not a sentence and another",
                "leave the second one out");
  const auto tokenizer = text::load_tokenizer(folder, text::Lengths::free);
  const std::string given = argument_line(options.source, "text");
  const auto encoding = tokenizer->encode(given);
  expect_words(encoding.size() > 0, "text");
  ops::Context ctx;
  ctx.exec = exec;
  return models::watch(ctx, model, encoding.ids, text::piece_labels(*tokenizer, encoding, given));
}

/// What an encoder or a classifier looks at, which reads a text or a pair of them.
template <class Model>
Recording watched_texts(const Options& options, const std::string& folder, const kernels::Execution& exec,
                        const Model& model) {
  const auto tokenizer = text::load_tokenizer(folder, text::Lengths::free);
  const std::string given = argument_line(options.source, "text");
  const std::string second = options.target ? argument_line(*options.target, "second text") : "";
  const auto encoding = options.target ? tokenizer->encode_pair(given, second, {}) : tokenizer->encode(given);
  expect_words(encoding.size() > 0, "text");
  const auto begin = std::ranges::find(encoding.sequences, 1) - encoding.sequences.begin();
  expect_words(!options.target || begin < std::ssize(encoding.sequences), "second text");
  ops::Context ctx;
  ctx.exec = exec;
  models::WatchedText text{encoding.ids, encoding.types,
                           text::piece_labels(*tokenizer, encoding, given, second)};
  if (options.target) text.second = static_cast<std::size_t>(begin);
  return models::watch(ctx, model, std::move(text));
}

/// What the directory's config.json calls the model; empty if there is none, which others say better.
std::string type_of(const std::string& folder) {
  const auto config = formats::papers_of(folder, {"config.json"}) / "config.json";
  std::error_code error;
  if (!std::filesystem::exists(config, error)) return {};
  return formats::read_json(config, Error::Kind::model).text_or("model_type", "");
}

Recording watched(const Options& options, const std::string& folder, const kernels::Execution& exec) {
  const std::string type = type_of(folder);
  if (models::is_language_model(type))
    return watched_text(options, folder, exec, *models::load_language_model_for_inference(folder, exec));
  if (models::is_bert(type)) return watched_texts(options, folder, exec, *models::load_bert(folder, exec));
  if (type == models::recurrent_classifier_type)
    return watched_texts(
        options, folder, exec,
        dynamic_cast<const models::RecurrentClassifier&>(*models::load_classifier(folder, exec)));
  return Translating(options, folder, exec).watched();
}

void attend(const Options& options) {
  options.output.check();
  const std::string folder = model_folder(options.model);
  const kernels::ExecutionOwner exec(options.threads);
  options.output.show(exec.get(), watched(options, folder, exec.get()), folder);
}

}  // namespace

void add_attend(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("attend", "Show what a model looks at while it translates or reads");
  const auto options = std::make_shared<Options>();
  command->add_option("source", options->source, "A sentence; any text for a model that reads texts")
      ->type_name("TEXT")
      ->required();
  command
      ->add_option(
          "target", options->target,
          "Its translation (default: the model's own; may be any text), or for an encoder the second "
          "text of a pair")
      ->type_name("TEXT");
  add_model_option(*command, options->model);
  options->output.add_to(*command);
  options->decoding.add_to(*command);
  add_threads_option(*command, options->threads);
  command->footer(
      "A row for each token of the target: the share of attention that each token of the source got. Of a "
      "model\n"
      "that reads one text: a row for each of its tokens, what that looked at; of a classifier that pools by "
      "attention\n"
      "one row, named by the class it found. Of a pair both texts are marked: first, second.\n"
      "In --statistics: entropy in nats, spread its share of the greatest possible, distance in tokens, and "
      "the shares\n"
      "that go to the diagonal, to the end of sentence (or start symbol) and to the strongest other token.\n"
      "Example: fovea attend --model runs/sst2 \"A man sleeps.\" \"Nobody is awake.\"\n"
      "Example: fovea attend \"Two men are riding bicycles.\"\n"
      "Example: fovea attend \"Good morning.\" \"Guten Morgen.\" --layer 0 --head 2");
  command->callback([options] { attend(*options); });
}

}  // namespace fovea::cli
