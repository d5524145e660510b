#pragma once

#include "fovea/kernels/packed_linear.h"

namespace fovea::kernels::reference {

/// A product of packed bf16 or i8 weights as its formula, summed in double: rows of W come from `row`, which
/// writes W[n,:] (of i8: its integers) to `to`.
struct LinearProduct {
  DType dtype;
  std::int64_t M, N, K;
  const float* x;
  std::int64_t x_stride;
  const float* scales;  ///< [N], of i8
  float* y;
  std::int64_t y_stride;
};

/// Columns begin .. begin + count - 1; W [count,K] are their rows.
void linear(const LinearProduct& product, const float* W, const LinearOptions& options,
            LinearColumns columns);

}  // namespace fovea::kernels::reference
