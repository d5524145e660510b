#include "fovea/decoding/logit_processor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "fovea/base/error.h"

namespace fovea::decoding {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

}  // namespace

NoRepeatNgram::NoRepeatNgram(std::int64_t n) : n_(static_cast<std::size_t>(n)) {
  if (n < 1)
    throw Error(Error::Kind::usage, "no repeated n-gram", "n is " + std::to_string(n),
                "use at least 1, such as 3");
}

void NoRepeatNgram::process(std::size_t, std::span<const std::int32_t> tokens,
                            std::span<float> logits) const {
  if (tokens.size() < n_) return;
  const auto last = tokens.last(n_ - 1);  // what came after the same tokens before must not come again
  for (std::size_t begin = 0; begin + n_ <= tokens.size(); ++begin)
    if (std::ranges::equal(tokens.subspan(begin, n_ - 1), last))
      logits[static_cast<std::size_t>(tokens[begin + n_ - 1])] = -infinity;
}

RepetitionPenalty::RepetitionPenalty(double penalty) : penalty_(static_cast<float>(penalty)) {
  if (!(penalty_ > 0) || !std::isfinite(penalty_))
    throw Error(Error::Kind::usage, "repetition penalty", "is " + std::to_string(penalty),
                "use a number above 0, such as 1.2");
}

void RepetitionPenalty::process(std::size_t, std::span<const std::int32_t> tokens,
                                std::span<float> logits) const {
  std::vector<std::int32_t> said(tokens.begin(), tokens.end());
  std::ranges::sort(said);
  const auto again = std::ranges::unique(said);  // once is enough
  for (auto token = said.begin(); token != again.begin(); ++token) {
    float& logit = logits[static_cast<std::size_t>(*token)];
    logit = logit > 0 ? logit / penalty_ : logit * penalty_;
  }
}

SuppressSequences::SuppressSequences(std::vector<std::vector<std::int32_t>> sequences)
    : sequences_(std::move(sequences)) {
  for (const auto& sequence : sequences_)
    if (sequence.empty())
      throw Error(Error::Kind::usage, "suppressed sequences", "one has no tokens", "leave it out");
}

void SuppressSequences::process(std::size_t, std::span<const std::int32_t> tokens,
                                std::span<float> logits) const {
  for (const auto& sequence : sequences_) {
    const auto before = std::span(sequence).first(sequence.size() - 1);
    const auto last = static_cast<std::size_t>(sequence.back());
    if (before.size() <= tokens.size() && last < logits.size() &&
        std::ranges::equal(before, tokens.last(before.size())))
      logits[last] = -infinity;
  }
}

void SuppressFirst::process(std::size_t, std::span<const std::int32_t> tokens,
                            std::span<float> logits) const {
  if (!tokens.empty()) return;
  for (const auto token : tokens_)
    if (token >= 0 && token < std::ssize(logits)) logits[static_cast<std::size_t>(token)] = -infinity;
}

void ForceFirst::process(std::size_t, std::span<const std::int32_t> tokens, std::span<float> logits) const {
  if (!tokens.empty()) return;
  if (token_ < 0 || token_ >= std::ssize(logits))
    throw Error(
        Error::Kind::model, "forced_bos_token_id",
        std::to_string(token_) + " is not among the model's " + std::to_string(logits.size()) + " tokens",
        "mend generation_config.json");
  std::ranges::fill(logits, -infinity);
  logits[static_cast<std::size_t>(token_)] = 0.0f;
}

}  // namespace fovea::decoding
