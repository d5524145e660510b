#pragma once

#include <memory>

#include "fovea/ops/attention.h"

namespace fovea::ops {

/// The neighbourhood of every element of packed sequences: what a convolution over a sequence multiplies by
/// its filters.
///   y[n, w] = x[n + w - W/2] if that lies in n's sequence, else 0
/// Shapes   x [N], y [N, W]; `sequences` own rows of x
Tensor unfold(const Context& ctx, const Tensor& x_N, const std::shared_ptr<const Sequences>& sequences,
              std::int64_t W);

}  // namespace fovea::ops
