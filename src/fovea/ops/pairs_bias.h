#pragma once

#include "fovea/kernels/pairs_bias.h"
#include "fovea/ops/pairs.h"

namespace fovea::ops {

/// scores + bias, any additive bias with gradient.
/// Shapes   scores pairs; bias either laid out as the pairs of all H heads, or of one head that all share
/// (each
///          sequence [T_b, S_b]), or [B|1, H|1, T|1, S|1] of rank 4, where an extent of 1 is the same for all
///          and T, S are at least the longest of the batch; rank 3 lacks B. A [1] or [1,1,1] tensor is one
///          number
/// Grads    to scores and to bias (summed over what shares an element)
Tensor add_bias(const Context& ctx, const Tensor& scores, const Tensor& bias, const PairsPtr& pairs);

/// scores + relative[h or 0, zero + (i - j)], i the position of the query: a table by distance, as tiled
/// attention takes it, for ALiBi (Press et al. 2022), T5's buckets (Raffel et al. 2020) and any of one's own.
/// Shapes   scores pairs; relative [H, count] or [1, count]. Throws Error if a distance of the batch is not
/// in it Grads    to scores and relative
Tensor add_relative(const Context& ctx, const Tensor& scores, const Tensor& relative, std::int64_t zero,
                    const PairsPtr& pairs, kernels::RowAlignment alignment = kernels::RowAlignment::end);

}  // namespace fovea::ops
