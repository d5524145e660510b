// fovea generate: a language model goes on from prompts.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/cli/chat.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/generate_flags.h"
#include "fovea/cli/model_folder.h"
#include "fovea/cli/signals.h"
#include "fovea/data/lines.h"
#include "fovea/formats/json_writer.h"
#include "fovea/text/utf8.h"

namespace fovea::cli {
namespace {

using decoding::Continuation;
using decoding::Generated;

struct Options {
  std::vector<std::string> prompts;
  std::string model, input;
  DTypeFlag dtype;
  GenerateFlags flags;
  ChatFlags chat;
  bool json = false, echo = false, no_special = false;
  int threads = 0;
};

class Generating {
 public:
  explicit Generating(const Options& options)
      : options_(options),
        crew_(options.threads, 1),
        loaded_(load_language_model(options.model, crew_.together(), options.dtype)),
        generate_(options.flags.options(options.model, *loaded_.tokenizer)),
        generator_(*loaded_.model, *loaded_.tokenizer, crew_) {
    if (options.chat.chat) conversation_.emplace(options.model, options.chat);
  }

  void arguments(const std::vector<std::string>& prompts) {
    std::size_t given = 0;
    several_ = prompts.size() > 1;
    generate([&]() -> std::optional<std::string> {
      if (given == prompts.size()) return {};
      return prompts[given++];
    });
  }

  // Prompts that have arrived are continued together, but none waits for one that has not.
  void lines(data::LineReader& reader) {
    const bool asks = options_.input.empty() && isatty(STDIN_FILENO);
    if (asks) std::fprintf(stderr, "fovea: type how a text begins and press Enter; Ctrl-D ends.\n");
    several_ = !asks;
    converses_ = asks;
    while (auto line = text_of(reader.next())) {
      generate([&] {
        auto given = std::exchange(line, {});
        if (!given && !asks && reader.has_line()) given = text_of(reader.next());
        return given;
      });
    }
    warn_of_repairs(reader.statistics());
  }

 private:
  static std::optional<std::string> text_of(std::optional<std::string_view> line) {
    return line ? std::optional<std::string>(*line) : std::nullopt;
  }

  // What the model reads of a text that was given. A template writes the special tokens itself.
  decoding::Prompt prompt_of(std::string text) {
    if (conversation_) return {conversation_->asked(text, converses_), false};
    return {std::move(text), !options_.no_special};
  }

  // One text alone is shown as it comes.
  bool streams() const { return !several_ && !options_.json && generate_.beam.nbest == 1; }

  void generate(const std::function<std::optional<std::string>()>& next) {
    const Signals signals;  // while something is under way: between, they end the program as ever
    generate_.beam.cancelled = &signals.caught();
    generate_.first_prompt = number_;
    std::vector<std::string> begun;  // as they were given, until their continuations are
    if (streams())
      generate_.on_text = [&](std::size_t, std::int64_t, std::string_view text) {
        write(text);
        return true;
      };
    std::size_t shown = 0;
    generator_.generate(
        [&]() -> std::optional<decoding::Prompt> {
          auto text = next();
          if (!text) return {};
          if (streams() && options_.echo) write(*text);
          begun.push_back(*text);
          return prompt_of(std::move(*text));
        },
        [&](const Generated& generated) { show(begun[shown++], generated); }, generate_);
    if (!signals.caught()) return;
    if (streams()) write("\n");
    signals.exit_as_caught();
  }

  void show(const std::string& prompt, const Generated& generated) {
    ++number_;
    if (generated.left_out > 0)
      warn("prompt " + std::to_string(number_) + ": its first " + counted(generated.left_out, "token") +
           " were left out, beyond the model's context");
    const auto full = [](const Continuation& one) { return one.why == decoding::WhyEnded::context; };
    if (options_.flags.max_new_tokens && std::ranges::any_of(generated.continuations, full))
      warn("prompt " + std::to_string(number_) +
           ": the model's context is full before --max-new-tokens; --overflow slide goes on");
    if (conversation_ && converses_) conversation_->answered(generated.continuations.front().text);
    if (options_.json) return write(json(generated));
    if (streams()) return write("\n");
    for (std::size_t i = 0; i < generated.continuations.size(); ++i) {
      const Continuation& one = generated.continuations[i];
      write(heading(i, generated.continuations.size(), one) + (options_.echo ? prompt : "") + one.text +
            "\n");
    }
  }

  // Texts may have several lines: where there are several texts, a line stands between them.
  std::string heading(std::size_t i, std::size_t count, const Continuation& one) const {
    if (count == 1) return several_ ? "--- " + std::to_string(number_) + "\n" : "";
    return "--- " + std::to_string(number_) + ", " + std::to_string(i + 1) + " of " + std::to_string(count) +
           ", score " + fixed(one.score, 4) + "\n";
  }

  // A line of JSON a prompt.
  std::string json(const Generated& generated) const {
    formats::JsonWriter json(formats::JsonWriter::Layout::compact);
    json.begin_object()
        .field("prompt", number_)
        .field("prompt_tokens", generated.prompt_tokens)
        .field("left_out", generated.left_out);
    json.key("continuations").begin_array();
    for (const auto& one : generated.continuations) {
      json.begin_object().field("text", one.text).field("ended", decoding::name_of(one.why));
      if (one.why == decoding::WhyEnded::stop_string) json.field("stop", one.stop);
      json.field("score", one.score).field("log_probability", one.log_probability);
      json.key("tokens").begin_array();
      for (const auto token : one.tokens) json.value(token);
      json.end_array().key("token_log_probabilities").begin_array();
      for (const float p : one.token_log_probabilities) json.value(p);
      json.end_array().end_object();
    }
    return json.end_array().end_object().finish() + "\n";
  }

  void write(std::string_view text) {
    out_.write(text);
    out_.flush();
  }

  const Options& options_;
  decoding::Crew crew_;
  LoadedLanguageModel loaded_;
  decoding::GenerateOptions generate_;
  decoding::Generator generator_;
  std::optional<Conversation> conversation_;  // with --chat
  Output out_;
  bool several_ = false, converses_ = false;  // whether lines are one conversation
  std::size_t number_ = 0;
};

std::vector<std::string> argument_prompts(const Options& options) {
  std::vector<std::string> prompts = options.prompts;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    if (text::is_valid_utf8(prompts[i])) continue;
    warn("argument " + std::to_string(i + 1) + ": not UTF-8; replaced by U+FFFD");
    prompts[i] = text::repair_utf8(prompts[i]).text;
  }
  return prompts;
}

void generate(const Options& options) {
  if (!options.prompts.empty() && !options.input.empty())
    throw Error(Error::Kind::usage, "generate", "prompts as arguments and --input exclude each other",
                "see fovea generate --help");
  if (!options.prompts.empty()) return Generating(options).arguments(argument_prompts(options));
  // Opened first: a missing file need not wait for the model.
  data::LineReader reader(options.input.empty() ? "-" : options.input);
  Generating(options).lines(reader);
}

}  // namespace

void add_generate(CLI::App& fovea) {
  CLI::App* command = fovea.add_subcommand("generate", "Continue text with a language model");
  const auto options = std::make_shared<Options>();
  command->add_option("prompt", options->prompts, "How texts begin, one an argument; none: read --input")
      ->type_name("TEXT");
  command
      ->add_option("--model", options->model, "Directory of a language model (gpt2, llama, mistral, qwen2)")
      ->type_name("DIR")
      ->required();
  command
      ->add_option("--input", options->input,
                   "Prompts, one a line, plain or .gz; - (the default) is standard input")
      ->type_name("FILE");
  command
      ->add_option("--dtype", options->dtype.name,
                   "Type of the weights while it runs: f32, bf16 or int8 (default: as they are stored)")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->type_name("TYPE");
  options->flags.add_to(*command);
  options->chat.add_to(*command);
  command->add_flag("--json", options->json,
                    "A line of JSON a prompt: texts, tokens, scores, and what ended each");
  command->add_flag("--echo", options->echo, "Write each prompt before what follows it");
  command->add_flag("--no-special", options->no_special,
                    "The prompt as it is, without the tokens that the tokenizer puts around it");
  add_threads_option(*command, options->threads);
  command->footer(
      "One prompt's text is written as it comes; several are continued together, each under a line \"--- "
      "N\".\n"
      "Talking: fovea generate --model DIR --chat \"Why is the sky blue?\"\n"
      "Example: fovea generate --model models/gpt2 --temperature 0.8 --top-p 0.95 \"Once upon a time\"");
  command->callback([options] { generate(*options); });
}

}  // namespace fovea::cli
