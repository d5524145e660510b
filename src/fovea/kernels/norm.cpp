#include "fovea/kernels/norm.h"

#include <algorithm>
#include <cmath>

#include "fovea/kernels/cpu/dropout.h"
#include "fovea/kernels/reference/norm.h"
#include "fovea/kernels/row_blocks.h"

#define FOVEA_BODY "fovea/kernels/cpu/norm.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {

void norm_forward(const Execution& exec, const NormExtents& extents, const float* x, const float* residual,
                  const float* gamma, const float* beta, float* sum, float* y, float* mean, float* rstd) {
  const auto rows = choose(exec.kernels, &reference::norm_forward<float>, &cpu::plain::norm_forward,
                           &cpu::avx2::norm_forward, &cpu::avx512::norm_forward);
  const NormForward<float> arguments{extents, x, residual, gamma, beta, sum, y, mean, rstd};
  exec.pool->parallel_for(extents.N, rows_a_thread(extents.D),
                          [&](std::int64_t begin, std::int64_t end) { rows(arguments, begin, end); });
}

void norm_backward(const Execution& exec, const NormExtents& extents, const float* d_y, const float* sum,
                   const float* mean, const float* rstd, const float* gamma, const float* d_residual_in,
                   float* d_sum, float* d_x, float* d_gamma, float* d_beta) {
  const auto rows = choose(exec.kernels, &reference::norm_backward<float>, &cpu::plain::norm_backward,
                           &cpu::avx2::norm_backward, &cpu::avx512::norm_backward);
  const NormBackward<float> arguments{extents, d_y, sum, mean, rstd, gamma, d_residual_in, d_sum, d_x};
  const float* sums = sum_over_rows(
      exec, extents.N, 2 * extents.D,
      [&](std::int64_t begin, std::int64_t end, float* partial) { rows(arguments, begin, end, partial); });
  if (!sums) return;
  for (std::int64_t d = 0; d < extents.D; ++d) {
    d_gamma[d] += sums[d];
    if (d_beta) d_beta[d] += sums[extents.D + d];
  }
}

}  // namespace fovea::kernels
