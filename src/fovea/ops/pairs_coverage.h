#pragma once

#include "fovea/kernels/pairs_coverage.h"
#include "fovea/ops/pairs.h"

namespace fovea::ops {

/// coverage[h,t,j] = sum of weights[h,t',j] over t' < t: what earlier outputs have looked at. Pairs to pairs,
/// with gradient.
/// A decoder that goes step by step has pairs of one query a sequence and keeps the sum itself, from zeros:
/// coverage_cost(weights, coverage), then coverage = add_bias(coverage, weights). Where sequences end and the
/// others are the first of the batch, rows(coverage, 0, pairs->elements()) goes on with those.
/// Source   See et al. 2017, section 2.3
Tensor coverage(const Context& ctx, const Tensor& weights, const PairsPtr& pairs);

/// loss[t,h] = sum_j min(weights[h,t,j], coverage[h,t,j]): how much an output looks again at what was looked
/// at.
/// Shapes   pairs both; returns [N_q, H], 0 in rows of no sequence
/// Grads    to the smaller (equal: weights)
Tensor coverage_loss(const Context& ctx, const Tensor& weights, const Tensor& coverage,
                     const PairsPtr& pairs);

/// The sum of coverage_loss over outputs, and its mean over heads, as a part of what is trained: with a tape,
/// backward() adds the gradients of weight * this. Divide by the target tokens as the loss beside it is; the
/// paper's lambda is 1.
double coverage_cost(const Context& ctx, const Tensor& weights, const Tensor& coverage, const PairsPtr& pairs,
                     float weight);

}  // namespace fovea::ops
