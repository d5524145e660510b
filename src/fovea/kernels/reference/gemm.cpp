#include "fovea/kernels/reference/gemm.h"

#include <cmath>

#include "fovea/kernels/reference/activation.h"

namespace fovea::kernels::reference {

void gemm(const GemmExtents& e, const float* A, const float* B, float* C, const GemmEpilogue& epilogue) {
  for (std::int64_t m = 0; m < e.M; ++m) {
    for (std::int64_t n = 0; n < e.N; ++n) {
      float& out = C[m * e.ldc + n];
      double c = epilogue.accumulate ? out : 0.0;
      for (std::int64_t k = 0; k < e.K; ++k) {
        const double a = e.transpose_a ? A[k * e.lda + m] : A[m * e.lda + k];
        const double b = e.transpose_b ? B[n * e.ldb + k] : B[k * e.ldb + n];
        c += a * b;
      }
      if (epilogue.bias) c += epilogue.bias[n];
      if (epilogue.pre_activation) epilogue.pre_activation[m * e.ldc + n] = static_cast<float>(c);
      const double r = epilogue.residual ? epilogue.residual[m * e.ldc + n] : 0.0;
      out = static_cast<float>(activate(epilogue.activation, c) + r);
    }
  }
}

}  // namespace fovea::kernels::reference
