#pragma once

#include <span>

#include "fovea/ops/context.h"

namespace fovea::ops {

/// Rows [begin, end) of the first axis, sharing memory; gradients arrive at those rows of x. How parts of a
/// packed weight are used apart.
Tensor rows(const Context& ctx, const Tensor& x, std::int64_t begin, std::int64_t end);

/// Matrices [R_i, D] one below the other, in a new one; each gets its rows of the gradient.
Tensor stack(const Context& ctx, std::span<const Tensor> parts);

}  // namespace fovea::ops
