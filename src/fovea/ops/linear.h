#pragma once

#include "fovea/kernels/activation.h"
#include "fovea/kernels/gemm.h"
#include "fovea/ops/context.h"

namespace fovea::ops {

struct LinearOptions {
  kernels::Activation activation = kernels::Activation::identity;
  float dropout = 0.0f;    ///< on the activation's output
  std::uint32_t site = 0;  ///< of that dropout
};

/// y = dropout(activation(x W^T + b)).
/// Shapes   x [N, in]; W [out, in], as on disk; b [out] or undefined; y [N, out]
/// `packed`, if given, is W^T packed for ctx.exec's kernels: read instead of W where nothing is recorded,
/// with the same bits. Throws   Error naming the shapes if they disagree
Tensor linear(const Context& ctx, const Tensor& x_ND, const Tensor& W, const Tensor& b,
              const LinearOptions& options = {}, const kernels::PackedMatrix* packed = nullptr);

}  // namespace fovea::ops
