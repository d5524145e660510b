#include "fovea/kernels/batch_norm.h"

#include <algorithm>

#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/reference/batch_norm.h"
#include "fovea/kernels/row_blocks.h"

#define FOVEA_BODY "fovea/kernels/cpu/batch_norm.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {
namespace {

using Rows = BatchNormRows<float>;

/// means[c] = sum_m (x - mean) / M, or of the squares.
void mean_of_differences(const Execution& exec, std::int64_t M, const Rows& arguments, bool square,
                         float* means) {
  const auto rows = choose(exec.kernels, &reference::add_differences<float>, &cpu::plain::add_differences,
                           &cpu::avx2::add_differences, &cpu::avx512::add_differences);
  const float* sums =
      sum_over_rows(exec, M, arguments.C, [&](std::int64_t begin, std::int64_t end, float* partial) {
        rows(arguments, square, begin, end, partial);
      });
  for (std::int64_t c = 0; c < arguments.C; ++c) means[c] = sums ? sums[c] / static_cast<float>(M) : 0.0f;
}

}  // namespace

void column_moments(const Execution& exec, const BatchNormExtents& extents, const float* x, float* mean,
                    float* variance) {
  mean_of_differences(exec, extents.M, {.C = extents.C, .x = x}, false, mean);
  mean_of_differences(exec, extents.M, {.C = extents.C, .x = x, .mean = mean}, true, variance);
}

void batch_norm_forward(const Execution& exec, const BatchNormExtents& extents, const float* x,
                        const float* mean, const float* rstd, const float* gamma, const float* beta,
                        float* y) {
  const auto rows =
      choose(exec.kernels, &reference::batch_norm_forward<float>, &cpu::plain::batch_norm_forward,
             &cpu::avx2::batch_norm_forward, &cpu::avx512::batch_norm_forward);
  const Rows arguments{
      .C = extents.C, .x = x, .mean = mean, .rstd = rstd, .gamma = gamma, .beta = beta, .out = y};
  exec.pool->parallel_for(extents.M, rows_a_thread(extents.C),
                          [&](std::int64_t begin, std::int64_t end) { rows(arguments, begin, end); });
}

void batch_norm_backward(const Execution& exec, const BatchNormExtents& extents, const float* x,
                         const float* mean, const float* rstd, const float* gamma, const float* d_y,
                         bool of_batch, float* sums, float* d_x) {
  const std::int64_t M = extents.M, C = extents.C;
  const auto add_sums = choose(exec.kernels, &reference::batch_norm_sums<float>, &cpu::plain::batch_norm_sums,
                               &cpu::avx2::batch_norm_sums, &cpu::avx512::batch_norm_sums);
  Rows arguments{.C = C, .x = x, .mean = mean, .rstd = rstd, .gamma = gamma, .d_y = d_y, .out = d_x};
  float* total = const_cast<float*>(
      sum_over_rows(exec, M, 2 * C, [&](std::int64_t begin, std::int64_t end, float* partial) {
        add_sums(arguments, begin, end, partial);
      }));
  if (!total) return static_cast<void>(std::fill_n(sums, 2 * C, 0.0f));
  std::copy_n(total, 2 * C, sums);
  if (!d_x) return;
  for (std::int64_t c = 0; c < 2 * C; ++c) total[c] /= static_cast<float>(M);
  arguments.shares = of_batch ? total : nullptr;
  const auto rows =
      choose(exec.kernels, &reference::batch_norm_backward<float>, &cpu::plain::batch_norm_backward,
             &cpu::avx2::batch_norm_backward, &cpu::avx512::batch_norm_backward);
  exec.pool->parallel_for(M, rows_a_thread(C),
                          [&](std::int64_t begin, std::int64_t end) { rows(arguments, begin, end); });
}

}  // namespace fovea::kernels
