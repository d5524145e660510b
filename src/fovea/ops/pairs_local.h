#pragma once

#include "fovea/kernels/pairs_local.h"
#include "fovea/ops/pairs.h"

namespace fovea::ops {

/// Local attention (Luong et al. 2015, section 3.2). local-m is a window of visibility: VisiblePairs with
/// left = right = D, aligned to the start. local-p is three steps:
///   1. p = predicted_positions(v_p tanh(W_p h))
///   2. weights = normalise(scores, VisiblePairs{.centre = p, .reach = D}): the window about the nearest key
///   3. weights = gaussian_window(weights, p, D/2)

/// p[t] = S_b sigmoid(x[t]), within the keys of t's own sequence.
/// Shapes   x [N_q] or [N_q, H]; returns the same; rows of no sequence: 0
Tensor predicted_positions(const Context& ctx, const Tensor& x, const PairsPtr& pairs);

/// weights[h,t,j] exp(-(j - p[t])^2 / (2 sigma^2)), not normalised again (as in the paper).
/// Shapes   weights pairs, p [N_q] or [N_q, H]; sigma in keys, above 0; returns pairs
/// Grads    to both
Tensor gaussian_window(const Context& ctx, const Tensor& weights, const Tensor& p, float sigma,
                       const PairsPtr& pairs);

}  // namespace fovea::ops
