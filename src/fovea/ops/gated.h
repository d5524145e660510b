#pragma once

#include "fovea/kernels/activation.h"
#include "fovea/ops/context.h"

namespace fovea::ops {

/// y = activation(gate) * up, where gate and up are the first and second F columns of x.
/// Shapes   x [N, 2F] -> y [N, F]
/// Source   Shazeer 2020; kernels/gated.h
Tensor gated(const Context& ctx, const Tensor& x_N2F, kernels::Activation activation);

}  // namespace fovea::ops
