// fovea fill: what could stand behind the masks of a text.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
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
  std::int64_t top = 5;
  bool json = false;
  DTypeFlag dtype;
  int threads = 0;
};

/// What could stand in the place of one mask.
struct Filling {
  std::string token;
  float probability;
};

/// Fills masks, text by text.
class Filler {
 public:
  Filler(const Options& options, const ops::Context& ctx)
      : options_(options),
        ctx_(ctx),
        model_(models::load_bert(options.model, ctx.exec, {}, options.dtype.wanted())),
        encoder_(text::load_tokenizer(options.model, text::Lengths::free), model_->vocabulary(),
                 model_->max_tokens(), shown(options.model)) {
    if (model_->config().head != models::BertConfig::Head::masked)
      throw Error(Error::Kind::model, shown(options.model) + "/config.json",
                  "describes no model of masked words", "its `architectures` should name one ...ForMaskedLM");
    if (encoder_.tokenizer().special().mask < 0)
      throw Error(Error::Kind::model, shown(options.model), "the tokenizer has no mask token",
                  "tokenizer_config.json should name it: mask_token");
  }

  std::string lines(const decoding::InputText& text, const std::string& where) const {
    const auto encoding = encoder_.encode(text);
    const auto masks = masks_of(encoding, where);
    const std::vector<std::int32_t> start{0, static_cast<std::int32_t>(encoding.ids.size())};
    const Tensor logits = model_->token_logits(ctx_, {encoding.ids, encoding.types, start}, masks);
    std::vector<std::vector<Filling>> all;
    const auto V = static_cast<std::size_t>(logits.dim(1));
    for (std::size_t m = 0; m < masks.size(); ++m) all.push_back(best({logits.f32() + m * V, V}));
    return options_.json ? as_json(text, all) : as_text(all);
  }

  const decoding::TextEncoder& encoder() const { return encoder_; }

 private:
  std::vector<std::int32_t> masks_of(const text::Encoding& encoding, const std::string& where) const {
    const auto mask = encoder_.tokenizer().special().mask;
    std::vector<std::int32_t> places;
    for (std::size_t i = 0; i < encoding.ids.size(); ++i)
      if (encoding.ids[i] == mask) places.push_back(static_cast<std::int32_t>(i));
    if (places.empty())
      throw Error(Error::Kind::data, where, "holds no " + encoder_.tokenizer().piece(mask),
                  "write it where a word is wanted");
    return places;
  }

  std::vector<Filling> best(std::span<const float> logits) const {
    const auto p = models::probabilities(logits, models::Problem::single_label);
    std::vector<Filling> fillings;
    for (const auto id : decoding::greatest(p, static_cast<std::size_t>(options_.top))) {
      const auto token = static_cast<std::int32_t>(id);
      std::string word = encoder_.tokenizer().decode(std::vector<std::int32_t>{token}, false);
      if (!word.empty() && word.front() == ' ') word.erase(0, 1);
      fillings.push_back({word.empty() ? encoder_.tokenizer().piece(token) : word, p[id]});
    }
    return fillings;
  }

  static std::string as_text(const std::vector<std::vector<Filling>>& all) {
    std::string lines;
    for (const auto& fillings : all) {
      std::string line;
      for (const auto& filling : fillings) {
        char number[32];
        std::snprintf(number, sizeof number, "%.4f", double{filling.probability});
        line.append(line.empty() ? "" : "\t").append(filling.token).append("\t").append(number);
      }
      lines += line + "\n";
    }
    return lines;
  }

  static std::string as_json(const decoding::InputText& text, const std::vector<std::vector<Filling>>& all) {
    formats::JsonWriter json(formats::JsonWriter::Layout::compact);
    json.begin_object().field("text", text.text).key("masks").begin_array();
    for (const auto& fillings : all) {
      json.begin_array();
      for (const auto& filling : fillings)
        json.begin_object()
            .field("token", filling.token)
            .field("probability", filling.probability)
            .end_object();
      json.end_array();
    }
    return json.end_array().end_object().finish() + "\n";
  }

  const Options& options_;
  const ops::Context& ctx_;
  std::unique_ptr<models::Bert> model_;
  decoding::TextEncoder encoder_;
};

void fill(const Options& options) {
  refuse_checkpoint(options.model);
  const kernels::ExecutionOwner owner(options.threads);
  ops::Context ctx;
  ctx.exec = owner.get();
  const Filler filler(options, ctx);
  Output out;
  options.lines.for_each(1, [&](const TextLines::Texts& texts) {
    for (std::size_t i = 0; i < texts.texts.size(); ++i)
      out.write(filler.lines(texts.texts[i], texts.where[i]));
    out.flush();
  });
  warn_of_cuts(filler.encoder());
}

}  // namespace

void add_fill(CLI::App& fovea) {
  CLI::App* command = fovea.add_subcommand("fill", "Say what could stand behind the masks of a text");
  const auto options = std::make_shared<Options>();
  command->add_option("--model", options->model, "Model directory: BERT, DistilBERT or RoBERTa ForMaskedLM")
      ->required()
      ->type_name("DIR");
  options->lines.add_to(*command);
  command->add_option("--top", options->top, "Give so many tokens for each mask, the most probable first")
      ->check(CLI::Range(1, 100000))
      ->type_name("K")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print an object a text, one a line");
  options->dtype.add_to(*command);
  add_threads_option(*command, options->threads);
  command->footer(
      "Prints a line for each mask: TOKEN, tab, PROBABILITY, and so on.\n"
      "Example: fovea fill --model bert-base-uncased \"Paris is the [MASK] of France.\"");
  command->callback([options] { fill(*options); });
}

}  // namespace fovea::cli
