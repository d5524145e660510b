#pragma once

#include <memory>
#include <span>
#include <vector>

#include "fovea/kernels/copy_mixture.h"
#include "fovea/ops/cross_entropy.h"
#include "fovea/ops/pairs.h"

namespace fovea::ops {

/// The tokens of sources as something to copy from. Made once for a batch, or once for a search.
class CopySource {
 public:
  /// `ids` [N_k] by row of the keys, `sources` which rows are a source each. Throws Error(bug) if an id lies
  /// outside [0, V) or rows are given by index.
  static std::shared_ptr<const CopySource> of(std::span<const std::int32_t> ids, const Sequences& sources,
                                              std::int64_t V);

  std::int64_t vocabulary() const { return vocabulary_; }
  /// Throws Error(bug) unless each sequence of keys is one of the sources (several may be the same).
  void expect(const Pairs& pairs) const;
  kernels::CopySource kernel() const { return {slot_.data(), distinct_.data(), count_.data()}; }

 private:
  std::int64_t vocabulary_ = 0;
  std::vector<std::int32_t> slot_, distinct_, count_;  // see kernels::CopySource
  std::vector<std::int64_t> length_;                   // [N_k] of the source that begins there, else -1
};
using CopySourcePtr = std::shared_ptr<const CopySource>;

/// A pointer-generator's choice at each output between generating and copying (See et al. 2017, section 2.2):
///   p[v] = p_gen softmax(logits)[v] + (1 - p_gen) sum_{j: x_j = v} a[j],  a the mean over heads of weights
/// Both sides must have one vocabulary. The paper extends it for each article by the words it lacks; with
/// subwords, and bytes for the rest, every word can be spelt with the pieces there are, and copied piece by
/// piece. If weights do not sum to 1 (soft monotonic or local attention), neither does p: what the loss then
/// teaches is that they should.
struct Copying {
  Tensor p_gen;    ///< [N] or [N, 1], above 0 and at most 1: a sigmoid; may require a gradient
  Tensor weights;  ///< pairs, as attention::attend() returns them with WeightsWanted::with_gradient
  PairsPtr pairs;  ///< every row of the output is a query of one sequence
  CopySourcePtr source;
};

/// The output layer and the loss of the mixture in one, as linear_cross_entropy: logits = x W^T + b exist
/// only a chunk of rows at a time. Gradients of weight * sum of losses: those of x, p_gen and weights are
/// handed over by the tape, those of W and b added at once. kernels/copy_mixture.h has the formulas. Shapes
/// x [N, D]; W [V, D]; b [V] or undefined; targets [N] (i32)
LossSums linear_copy_cross_entropy(const Context& ctx, const Tensor& x_ND, const Tensor& W, const Tensor& b,
                                   const Copying& copying, const Tensor& targets, float smoothing,
                                   float weight);

/// log p [N, V], to search with: softmax over them changes nothing (if weights sum to 1), so that a search
/// may take them for logits. Without gradient.
Tensor copy_log_probabilities(const Context& ctx, const Tensor& logits_NV, const Copying& copying);

}  // namespace fovea::ops
