#pragma once

#include <span>

#include "fovea/kernels/activation.h"
#include "fovea/kernels/packed_linear.h"
#include "fovea/ops/context.h"
#include "fovea/ops/low_rank.h"

namespace fovea::ops {

struct LinearOptions {
  kernels::Activation activation = kernels::Activation::identity;
  float dropout = 0.0f;    ///< on the activation's output
  std::uint32_t site = 0;  ///< of that dropout
};

/// y = dropout(activation(x W^T + b)).
/// Shapes   x [N, in]; W [out, in], as on disk; b [out] or undefined; y [N, out]
/// Throws   Error naming the shapes if they disagree
Tensor linear(const Context& ctx, const Tensor& x_ND, const Tensor& W, const Tensor& b,
              const LinearOptions& options = {});

/// The same with low-rank terms before the activation, y = dropout(activation(x W^T + b + terms)): with terms
/// that are zero the same bits.
Tensor linear(const Context& ctx, const Tensor& x_ND, const Tensor& W, const Tensor& b,
              std::span<const LowRank> terms, const LinearOptions& options);

/// The same by weights packed for inference: with those of f32 the same bits. No gradient goes back.
Tensor linear(const Context& ctx, const Tensor& x_ND, const kernels::PackedLinear& W, const Tensor& b,
              const LinearOptions& options = {});

}  // namespace fovea::ops
