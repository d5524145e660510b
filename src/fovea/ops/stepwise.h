#pragma once

#include <memory>

#include "fovea/ops/additive_attention.h"
#include "fovea/ops/pairs.h"

namespace fovea::ops {

/// Attention as a recurrent decoder trains by it: the same keys and values are looked at step after step, by
/// one query a sequence. What a step sends back to its queries and weights is computed at once, for the step
/// before waits for it; what all steps send to keys, values and score vector is gathered as pairs and rows,
/// and computed when the last has come: one product a sentence instead of T that each rewrite a gradient of
/// the keys' size.
///   d_k[j] = sum_t d_score[t,j] dscore/dk(q[t], k[j]),   d_value[j] = sum_t weight[t,j] d_context[t]
/// Made once for a batch, on the tape before the first step; a step's pairs are those of the first of its
/// sequences, of any number of queries each: a batch shrinks from the end, the longest targets first. Without
/// a tape they are what they stand for and keep nothing. Memory   of a step, until backward is through: its
/// queries, contexts and pairs Throws   Error(bug) naming the shapes if something does not fit, or if a
/// step's keys are not the first of
///          these; keys picked by row have no gradient
class StepwiseScores {
 public:
  virtual ~StepwiseScores() = default;
  /// Scores of these pairs, as dot_scores or additive_scores give them.
  virtual Tensor scores(const Context& ctx, const PackedHeads& q, const PairsPtr& pairs) const = 0;
};

std::shared_ptr<const StepwiseScores> stepwise_dot(const Context& ctx, const PackedHeads& k,
                                                   std::shared_ptr<const Sequences> keys, std::int64_t heads,
                                                   const DotOptions& options);

/// heads and width of `options` count, all keys are seen; keys are prepared here, once.
std::shared_ptr<const StepwiseScores> stepwise_additive(const Context& ctx, const PackedHeads& k,
                                                        const Tensor& v_HD,
                                                        std::shared_ptr<const Sequences> keys,
                                                        const AdditiveOptions& options);

class StepwiseValues {
 public:
  virtual ~StepwiseValues() = default;
  /// Contexts of these weights, as mix gives them.
  virtual Tensor mix(const Context& ctx, const Tensor& weights, const PairsPtr& pairs) const = 0;
};

std::shared_ptr<const StepwiseValues> stepwise_values(const Context& ctx, const PackedHeads& value,
                                                      std::shared_ptr<const Sequences> keys,
                                                      std::int64_t heads, const MixOptions& options);

}  // namespace fovea::ops
