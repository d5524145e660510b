#include "fovea/cli/search_flags.h"

#include <algorithm>
#include <string>

#include "fovea/base/error.h"

namespace fovea::cli {
void SearchFlags::add_to(CLI::App& command, const std::string& text, bool several) {
  command.option_defaults()->group("Sampling and constraints");
  sampling.add_to(command, "a " + text, several);
  add_number(command, "--repetition-penalty", repetition_penalty, 1e-3, 1e3,
             "Above 1: what has been said becomes less likely");
  add_number(command, "--no-repeat-ngram", no_repeat_ngram, 0, 1000,
             "No N tokens in a row occur twice; 0: off");
  command
      .add_option("--suppress", suppress,
                  "Text that no " + text + " holds, as the tokenizer cuts it; may be repeated")
      ->allow_extra_args(false)
      ->type_name("TEXT");
  add_number(command, "--min-length", min_length, 0, 1 << 20, "Tokens of a " + text + ", at least");
  add_number(command, "--max-length", max_length, 1, 1 << 20,
             "Tokens of a " + text + ", its end included, at most (default: by the source's length)");
  if (several) {
    command.add_flag("--alternatives", alternatives,
                     "--nbest translations that begin with different tokens, after --prefix if there is one");
    add_number(command, "--min-alternative", min_alternative, 0, 1,
               "Alternatives less probable are left out");
  }
  add_number(command, "--diverse-groups", diverse_groups, 1, 32,
             "Groups of the beam that keep away from each other");
  add_number(command, "--diversity", diversity, 0, 1e3,
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
  sampling.apply(search.sampling);
  if (sampling.greedy()) search.sampling.reset();
  if (search.sampling || sampling.greedy()) search.beam = search.diverse.groups = 1;
  if (alternatives) search.alternatives = decoding::Alternatives{min_alternative.value_or(0.0)};
  if (search.numbered() && nbest > 0) search.nbest = nbest;
  if (diverse_groups) search.diverse.groups = *diverse_groups;
  if (diversity) search.diverse.penalty = *diversity;
  if (min_length.value_or(0) > max_length.value_or(1 << 20))
    throw Error(Error::Kind::usage, "--min-length",
                std::to_string(*min_length) + " is more than --max-length " + std::to_string(*max_length));
  if (min_length) {
    search.min_length = *min_length;
    search.max_length_extra = std::max(search.max_length_extra, *min_length + 1);
  }
  if (max_length) {  // alone: how long the source is does not matter then
    search.max_length = search.max_length_extra = *max_length;
    search.max_length_ratio = 0.0;
  }
  if (repetition_penalty) options.repetition_penalty = *repetition_penalty;
  if (no_repeat_ngram) options.no_repeat_ngram = *no_repeat_ngram;
  for (const std::string& text : suppress) {
    auto ids = tokenizer.target_tokens(text);
    if (ids.empty()) throw Error(Error::Kind::usage, "--suppress", "'" + printable(text) + "' has no tokens");
    options.suppressed.push_back(std::move(ids));
  }
}

}  // namespace fovea::cli
