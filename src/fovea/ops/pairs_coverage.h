#pragma once

#include "fovea/kernels/pairs_coverage.h"
#include "fovea/ops/pairs.h"

namespace fovea::ops {

/// coverage[h,t,j] = sum of weights[h,t',j] over t' < t: what earlier outputs have looked at. Pairs to pairs,
/// with gradient. A decoder that goes step by step keeps the sum itself: add_bias(coverage, weights). Source
/// See et al. 2017, section 2.3
Tensor coverage(const Context& ctx, const Tensor& weights, const PairsPtr& pairs);

/// loss[t,h] = sum_j min(weights[h,t,j], coverage[h,t,j]): how much an output looks again at what was looked
/// at. Shapes   pairs both; returns [N_q, H], 0 in rows of no sequence. Gradient to the smaller (equal:
/// weights)
Tensor coverage_loss(const Context& ctx, const Tensor& weights, const Tensor& coverage,
                     const PairsPtr& pairs);

}  // namespace fovea::ops
