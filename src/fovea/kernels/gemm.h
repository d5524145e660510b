#pragma once

#include <cstdint>

#include "fovea/kernels/activation.h"
#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Extents of C[M,N] = op(A)[M,K] * op(B)[K,N]; all matrices row-major.
struct GemmExtents {
  std::int64_t M = 0, N = 0, K = 0;
  std::int64_t lda = 0, ldb = 0, ldc = 0;  ///< floats from one stored row to the next
  bool transpose_a = false;                ///< A is stored [K,M]
  bool transpose_b = false;                ///< B is stored [N,K], as weights [out, in] are
};

/// What happens to a finished element of C, in this order.
///   c = sum_k a b  (+ C if accumulate)  (+ bias[n]);  pre_activation = c;  C = activation(c)
struct GemmEpilogue {
  bool accumulate = false;
  const float* bias = nullptr;       ///< [N]
  float* pre_activation = nullptr;   ///< [M,N] with row stride ldc, or none
  Activation activation = Activation::identity;
};

/// C = epilogue(op(A) op(B)). Every element is one chain of fused multiply-adds over k = 0, 1, ..., K-1, whatever M, N,
/// tiles and threads are: a row's result does not depend on the other rows. K = 0 gives epilogue(0).
/// `accumulate` starts the chain from C.
void gemm(const Execution& exec, const GemmExtents& extents, const float* A, const float* B, float* C,
          const GemmEpilogue& epilogue = {});

}  // namespace fovea::kernels
