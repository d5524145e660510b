#pragma once

#include "fovea/kernels/activation.h"
#include "fovea/ops/context.h"

namespace fovea::ops {

/// y = 1 / (1 + e^-x), element by element; any shape.
Tensor sigmoid(const Context& ctx, const Tensor& x);

/// y = sqrt(max(x, 1e-10)): a deviation from a variance that rounding may have made negative; no gradient at
/// the floor.
Tensor root(const Context& ctx, const Tensor& x);

/// y = activation(x); any shape. Where x comes from a product, ops::linear's own activation saves a pass.
Tensor activate(const Context& ctx, const Tensor& x, kernels::Activation activation);

/// y = a + b and y = a * b, element by element. Shapes of the same rank, at most 3; where one has extent 1
/// and the other not, the one is repeated, and its gradient is the sum over the repetitions. Throws
/// Error(bug) naming both shapes if they do not fit
Tensor add(const Context& ctx, const Tensor& a, const Tensor& b);
Tensor multiply(const Context& ctx, const Tensor& a, const Tensor& b);

}  // namespace fovea::ops
