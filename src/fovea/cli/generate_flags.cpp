#include "fovea/cli/generate_flags.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "fovea/base/error.h"
#include "fovea/cli/decoding_options.h"
#include "fovea/decoding/generation.h"

namespace fovea::cli {
namespace {

// What a shell makes hard to type: \n, \t, \r and \\ within a text.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    const auto known = std::string_view("ntr\\").find(next);
    if (next == '\0' || known == std::string_view::npos) {
      out += text[i];
    } else {
      out += "\n\t\r\\"[known];
      ++i;
    }
  }
  return out;
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// ALPHA or ALPHA,K.
decoding::Contrastive contrastive_of(std::string_view text) {
  decoding::Contrastive found;
  const auto comma = text.find(',');
  const bool whole = comma == std::string_view::npos;
  if (read_number(text.substr(0, comma), found.alpha) &&
      (whole || read_number(text.substr(comma + 1), found.k)))
    return found;
  throw Error(Error::Kind::usage, "--contrastive", "'" + printable(text) + "' is not ALPHA or ALPHA,K",
              "such as --contrastive 0.6,4");
}

decoding::Overflow overflow_named(std::string_view name) {
  return name == "left"    ? decoding::Overflow::left
         : name == "slide" ? decoding::Overflow::slide
                           : decoding::Overflow::error;
}

}  // namespace

void GenerateFlags::add_to(CLI::App& command) {
  add_number(command, "--max-new-tokens", max_new_tokens, 1, 1 << 20,
             "Tokens that follow, at most (default: the model's own, or 128)");
  add_number(command, "--min-new-tokens", min_new_tokens, 0, 1 << 20, "Tokens before an end token may come");
  command
      .add_option("--stop", stop,
                  "Text that ends what follows, and is not part of it; may be repeated. \\n is a line end")
      ->allow_extra_args(false)
      ->type_name("TEXT");
  command
      .add_option(
          "--overflow", overflow,
          "A prompt beyond the context: error, left (leave out its beginning, so that what follows has "
          "room), or slide (and go on past the context)")
      ->check(CLI::IsMember({"error", "left", "slide"}))
      ->type_name("")
      ->capture_default_str();
  add_number(command, "--nbest", nbest, 1, 4096, "Texts of a prompt: of a beam the best, or so many draws");
  command.add_option("--batch", batch, "Prompts continued at once, at most")
      ->check(CLI::Range(1, 1 << 16))
      ->type_name("N")
      ->capture_default_str();
  command.add_flag("--no-defaults", no_defaults, "Leave the model's generation_config.json aside");

  command.option_defaults()->group("Search");
  add_number(command, "--beam", beam, 1, static_cast<double>(decoding::widest_beam),
             "Hypotheses kept alive; 1: the most probable token each time");
  add_number(command, "--length-penalty", length_penalty, -10, 10,
             "Exponent of the length that a beam's scores are divided by");
  command
      .add_option("--early-stopping", early_stopping,
                  "Once --beam texts are complete: go on while one may well be better (false), while one can "
                  "be (never), or stop (true)")
      ->check(CLI::IsMember({"false", "true", "never"}))
      ->type_name("");
  command
      .add_option(
          "--contrastive", contrastive,
          "Contrastive search: of the K most probable tokens (default: 4) the one that repeats least, "
          "which weighs ALPHA from 0 to 1; 0.6,4 is usual")
      ->type_name("ALPHA,K");
  command.option_defaults()->group("Sampling and constraints");
  sampling.add_to(command, "a text");
  add_number(command, "--repetition-penalty", repetition_penalty, 1e-3, 1e3,
             "Above 1: what has been said becomes less likely");
  add_number(command, "--no-repeat-ngram", no_repeat_ngram, 0, 1000,
             "No N tokens in a row occur twice; 0: off");
  command
      .add_option("--suppress", suppress,
                  "Text that is not generated, as the tokenizer cuts it; may be repeated")
      ->allow_extra_args(false)
      ->type_name("TEXT");
  command.option_defaults()->group("Options");
}

// Beam, sampling or contrastive search: what the command line asks for takes the place of what the model
// does.
void GenerateFlags::choose_search(decoding::BeamOptions& search) const {
  const auto beam = sampling.greedy() ? std::optional<std::int64_t>(1) : this->beam;
  if (int{beam.has_value() && *beam > 1} + int{sampling.any()} + int{!contrastive.empty()} > 1)
    throw Error(Error::Kind::usage, contrastive.empty() ? "--beam" : "--contrastive",
                "a beam, --contrastive and drawing exclude each other", "use one of them");
  if (beam) {
    search.beam = *beam;
    search.sampling.reset();
    search.contrastive.reset();
    search.diverse.groups = 1;
  }
  if (sampling.any()) {
    search.contrastive.reset();
    sampling.apply(search.sampling);
  }
  if (!contrastive.empty()) {
    search.contrastive = contrastive_of(contrastive);
    search.sampling.reset();
  }
  if (search.sampling || search.contrastive) search.beam = search.diverse.groups = 1;
  search.nbest = nbest.value_or(search.nbest);
  if (search.nbest > search.beam && beam && !search.sampling)
    throw Error(Error::Kind::usage, "--nbest",
                std::to_string(search.nbest) + " texts of " + std::to_string(search.beam) + " hypotheses",
                "use a --beam of at least " + std::to_string(search.nbest));
  if (!search.sampling && !search.contrastive) search.beam = std::max(search.beam, search.nbest);
}

decoding::GenerateOptions GenerateFlags::options(const std::string& folder,
                                                 const text::Tokenizer& tokenizer) const {
  auto options = decoding::generate_options_of(no_defaults ? models::ContinuationDefaults()
                                                           : models::read_continuation_defaults(folder));
  choose_search(options.beam);
  if (length_penalty) options.beam.length_penalty.alpha = *length_penalty;
  if (!early_stopping.empty()) options.beam.stop = stop_named(early_stopping);
  if (min_new_tokens && max_new_tokens && *min_new_tokens > *max_new_tokens)
    throw Error(Error::Kind::usage, "--min-new-tokens",
                std::to_string(*min_new_tokens) + " is more than --max-new-tokens " +
                    std::to_string(*max_new_tokens));
  if (min_new_tokens) options.beam.min_length = *min_new_tokens;
  if (max_new_tokens) {
    options.max_new_tokens = *max_new_tokens;
    options.max_length = 0;
  }
  if (repetition_penalty) options.constraints.repetition_penalty = *repetition_penalty;
  if (no_repeat_ngram) options.constraints.no_repeat_ngram = *no_repeat_ngram;
  for (const auto& text : suppress) {
    auto ids = tokenizer.encode(unescaped(text), {.add_special = false, .ranges = false}).ids;
    if (ids.empty()) throw Error(Error::Kind::usage, "--suppress", "'" + printable(text) + "' has no tokens");
    options.constraints.suppressed.push_back(std::move(ids));
  }
  for (const auto& text : stop) options.stop.push_back(unescaped(text));
  options.overflow = overflow_named(overflow);
  options.batches.max_rows = batch;
  return options;
}

}  // namespace fovea::cli
