#pragma once

#include <span>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/kernels/execution.h"
#include "fovea/models/time_major.h"
#include "fovea/tensor/tensor.h"

namespace fovea::models {

/// Scheduled sampling: which of a batch's tokens the decoder reads as it predicted them itself, and the
/// drawing of those. Token n of the batch (TimeMajor::token) has two random numbers of its own, so that
/// neither order, nor threads, nor the other tokens matter:
///   it is the model's own if uniform(2n) < share, and then v with probability softmax(logits)[v], found
///   where the running sum of probabilities passes uniform(2n + 1)
/// The first step of a sentence reads the start symbol, always. The end of sentence may be drawn and read.
/// Source   Bengio, Vinyals, Jaitly, Shazeer 2015, section 2.4 (sampled, a coin for every token)
class OwnTokens {
 public:
  /// `never` is the id that is not drawn: the start symbol.
  OwnTokens(const RandomKey& key, float share, std::int32_t never, const TimeMajor& time)
      : key_(key), share_(share), never_(never), time_(time) {}

  /// The rows of a step whose token is the model's own, ascending.
  std::vector<std::int32_t> rows(std::int64_t step) const;
  /// A token for each of these rows of a step, by logits [rows, V] of the step before, which are overwritten.
  std::vector<std::int32_t> draw(const kernels::Execution& exec, std::int64_t step,
                                 std::span<const std::int32_t> rows, Tensor& logits) const;

 private:
  std::uint64_t element(std::int64_t step, std::int64_t row) const {
    return 2 * static_cast<std::uint64_t>(time_.token(step, row));
  }

  RandomKey key_;
  float share_;
  std::int32_t never_;
  const TimeMajor& time_;
};

}  // namespace fovea::models
