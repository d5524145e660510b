#pragma once

#include "fovea/ops/context.h"

namespace fovea::ops {

/// Every head's vector brought to length 1, or to the head's sharpness: what cosine attention compares.
///   y[n,h] = sharpness[h] * x[n,h] / |x[n,h]|, 0 for a vector of length 0
/// Shapes   x, y [N, H*E]; sharpness [H] or undefined
Tensor unit_heads(const Context& ctx, const Tensor& x, std::int64_t heads, const Tensor& sharpness = {});

}  // namespace fovea::ops
