#pragma once

#include "fovea/kernels/packed_linear.h"

namespace fovea::kernels::reference {

/// A product of packed bf16 or i8 weights as its formula, summed in double.
struct LinearProduct {
  DType dtype;
  std::int64_t M, N, K;
  const float* x;
  std::int64_t x_stride;
  const float* scales;  ///< [N], of i8
  float* y;
  std::int64_t y_stride;
};

/// W [N,K], of i8 its integers. The strides of `options` are not read.
void linear(const LinearProduct& product, const float* W, const LinearOptions& options);

}  // namespace fovea::kernels::reference
