#include "fovea/decoding/unknown.h"

#include "fovea/base/error.h"

namespace fovea::decoding {
namespace {

constexpr std::size_t nothing = static_cast<std::size_t>(-1);

// The token that is a word and got the most; `nothing` if there is no word.
std::size_t most_attended(std::span<const float> weights, std::span<const std::string> words) {
  std::size_t best = nothing;
  for (std::size_t s = 0; s < words.size(); ++s)
    if (!words[s].empty() && (best == nothing || weights[s] > weights[best])) best = s;
  return best;
}

}  // namespace

std::vector<std::string> words_for_unknown(const Hypothesis& hypothesis, std::int32_t unk,
                                           std::span<const std::string> source_words) {
  const std::size_t S = source_words.size();
  if (hypothesis.attention.size() != hypothesis.token_log_probabilities.size() * S)
    throw Error(Error::Kind::bug, "decoding: unknown words",
                std::to_string(hypothesis.attention.size()) + " weights for " +
                    std::to_string(hypothesis.token_log_probabilities.size()) + " tokens and " +
                    std::to_string(S) + " of the source");
  std::vector<std::string> words;
  std::size_t before = nothing;
  for (std::size_t t = 0; t < hypothesis.tokens.size(); ++t) {
    if (hypothesis.tokens[t] != unk) {
      before = nothing;
      continue;
    }
    const std::size_t best = most_attended(std::span(hypothesis.attention).subspan(t * S, S), source_words);
    words.push_back(best == nothing || best == before ? std::string() : source_words[best]);
    before = best;
  }
  return words;
}

}  // namespace fovea::decoding
