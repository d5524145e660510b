#pragma once

#include "fovea/kernels/pairs_relative.h"
#include "fovea/ops/pairs.h"

namespace fovea::ops {

struct ClippedRelative {
  std::int64_t width = 0;  ///< E of q's heads (keys), Ev of the context's (values)
  float scale = 1.0f;      ///< of scores, as in dot_scores
  kernels::RowAlignment alignment = kernels::RowAlignment::end;
};

/// Relative positions of keys (Shaw et al. 2018, equation 4), with r(t,j) = clip(j - i, -R, R) + R:
///   out[h,t,j] = scores[h,t,j] + scale q[t,h] . rK[r(t,j)]
/// Shapes   scores pairs; q in a matrix [N_q, .]; rK [2R + 1, E], shared by heads
/// Grads    to scores, q (its columns, beside others) and rK
/// Cost     q rK^T is N_q*H*(2R+1) numbers, then one pass over the pairs: nothing of [T,S,E]
Tensor add_relative_keys(const Context& ctx, const Tensor& scores, const PackedHeads& q, const Tensor& rK,
                         const PairsPtr& pairs, const ClippedRelative& options);

/// Relative positions of values (equation 3): context[t,h] + sum_j weights[h,t,j] rV[r(t,j)].
/// Shapes   context [N_q, H * Ev]; weights pairs; rV [2R + 1, Ev]. Grads to all three. Cost as above
Tensor add_relative_values(const Context& ctx, const Tensor& context, const Tensor& weights, const Tensor& rV,
                           const PairsPtr& pairs, const ClippedRelative& options);

}  // namespace fovea::ops
