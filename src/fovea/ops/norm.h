#pragma once

#include "fovea/ops/context.h"

namespace fovea::ops {

/// Dropout of a sublayer's output: share and site.
struct Dropping {
  float p = 0.0f;
  std::uint32_t site = 0;
};

/// y = LayerNorm(residual + dropout(x)), (s - mean) / sqrt(variance + eps) * gamma + beta with the biased
/// variance. Shapes   x, residual [N, D] (residual may be undefined: LayerNorm(dropout(x))); gamma, beta [D];
/// y [N, D] Source   Ba, Kiros, Hinton 2016; the sum before it: Vaswani et al. 2017, section 3.1
Tensor add_norm(const Context& ctx, const Tensor& x_ND, const Tensor& residual_ND, const Tensor& gamma,
                const Tensor& beta, float eps, Dropping dropping = {});

/// y = RMSNorm(residual + dropout(x)), s / sqrt(mean(s^2) + eps) * gamma.
/// Source   Zhang and Sennrich 2019
Tensor add_rms_norm(const Context& ctx, const Tensor& x_ND, const Tensor& residual_ND, const Tensor& gamma,
                    float eps, Dropping dropping = {});

/// y = residual + dropout(x); x, residual, y [N, D].
Tensor add_residual(const Context& ctx, const Tensor& x_ND, const Tensor& residual_ND,
                    Dropping dropping = {});

}  // namespace fovea::ops
