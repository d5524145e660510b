#include "fovea/cli/search_flags.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "fovea/base/error.h"

namespace fovea::cli {
namespace {

template <class Value>
void add(CLI::App& command, const char* names, std::optional<Value>& value, double least, double most,
         const char* help) {
  const bool whole = std::is_integral_v<Value>;
  auto* option = command.add_option(names, value, help)->type_name(whole ? "N" : "X");
  if (whole)
    option->check(CLI::Range(static_cast<std::int64_t>(least), static_cast<std::int64_t>(most)));
  else
    option->check(CLI::Range(least, most));
}

}  // namespace

void SearchFlags::add_to(CLI::App& command) {
  command.option_defaults()->group("Sampling and constraints");
  add(command, "--temperature,--sampling-temperature", temperature, 1e-3, 1e3,
      "Draw translations in place of searching the best; below 1 favours likely words. --nbest N draws N");
  add(command, "--top-k", top_k, 1, 1e9, "Draw among the N most probable tokens");
  add(command, "--top-p", top_p, 1e-9, 1, "Draw among the fewest tokens with that share of the probability");
  add(command, "--min-p", min_p, 0, 1, "Draw among tokens with that share of the greatest probability");
  command
      .add_option("--seed", seed, "Of the drawing (default: 1); a line's draw depends on its number alone")
      ->type_name("N");
  add(command, "--repetition-penalty", repetition_penalty, 1e-3, 1e3,
      "Above 1: what has been said becomes less likely");
  add(command, "--no-repeat-ngram", no_repeat_ngram, 0, 1000, "No N tokens in a row occur twice; 0: off");
  command
      .add_option("--suppress", suppress,
                  "Text that no translation holds, as the tokenizer cuts it; may be repeated")
      ->allow_extra_args(false)
      ->type_name("TEXT");
  add(command, "--min-length", min_length, 0, 1 << 20, "Tokens of a translation, at least");
  add(command, "--max-length", max_length, 1, 1 << 20,
      "Tokens of a translation, end of sentence included, at most");
  command.add_flag("--alternatives", alternatives,
                   "--nbest translations that begin with different tokens, after --prefix if there is one");
  add(command, "--min-alternative", min_alternative, 0, 1, "Alternatives less probable are left out");
  add(command, "--diverse-groups", diverse_groups, 1, 32,
      "Groups of the beam that keep away from each other");
  add(command, "--diversity", diversity, 0, 1e3,
      "What a token costs that another group has just chosen; 0.5");
  command.option_defaults()->group("Options");
}

void SearchFlags::apply(decoding::TranslateOptions& options, const text::TranslationTokenizer& tokenizer,
                        std::int64_t beam, std::int64_t nbest) const {
  decoding::BeamOptions& search = options.beam;
  if (samples() && beam > 1)
    throw Error(Error::Kind::usage, "--beam",
                std::to_string(beam) + " hypotheses, but translations are drawn",
                "leave out --beam, or what asks for drawing");
  if (beam > 0) search.sampling.reset();
  if (samples() && !search.sampling) search.sampling.emplace();
  if (search.sampling) {
    decoding::Sampling& draw = *search.sampling;
    draw = {.temperature = temperature.value_or(draw.temperature),
            .top_k = top_k.value_or(draw.top_k),
            .top_p = top_p.value_or(draw.top_p),
            .min_p = min_p.value_or(draw.min_p),
            .seed = seed.value_or(draw.seed)};
    search.beam = search.diverse.groups = 1;
  }
  if (alternatives) search.alternatives = decoding::Alternatives{min_alternative.value_or(0.0)};
  if (search.numbered() && nbest > 0) search.nbest = nbest;
  if (diverse_groups) search.diverse.groups = *diverse_groups;
  if (diversity) search.diverse.penalty = *diversity;
  if (min_length) search.min_length = *min_length;
  if (max_length) search.max_length = *max_length;
  if (repetition_penalty) options.repetition_penalty = *repetition_penalty;
  if (no_repeat_ngram) options.no_repeat_ngram = *no_repeat_ngram;
  for (const std::string& text : suppress) {
    auto ids = tokenizer.target_tokens(text);
    if (ids.empty()) throw Error(Error::Kind::usage, "--suppress", "'" + printable(text) + "' has no tokens");
    options.suppressed.push_back(std::move(ids));
  }
}

}  // namespace fovea::cli
