#include "fovea/kernels/elementwise.h"

#include <algorithm>

#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/reference/elementwise.h"
#include "fovea/kernels/row_blocks.h"

#define FOVEA_BODY "fovea/kernels/cpu/elementwise.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {

constexpr std::int64_t elements_a_thread = 16384;

void unary_forward(const Execution& exec, std::int64_t count, Unary f, const float* x, float* y) {
  const auto range = choose(exec.kernels, &reference::unary_forward<float>, &cpu::plain::unary_forward,
                            &cpu::avx2::unary_forward, &cpu::avx512::unary_forward);
  const UnaryForward<float> arguments{f, x, y};
  exec.pool->parallel_for(count, elements_a_thread,
                          [&](std::int64_t begin, std::int64_t end) { range(arguments, begin, end); });
}

void unary_backward(const Execution& exec, std::int64_t count, Unary f, const float* y, const float* d_y,
                    float* d_x) {
  const auto range = choose(exec.kernels, &reference::unary_backward<float>, &cpu::plain::unary_backward,
                            &cpu::avx2::unary_backward, &cpu::avx512::unary_backward);
  const UnaryBackward<float> arguments{f, y, d_y, d_x};
  exec.pool->parallel_for(count, elements_a_thread,
                          [&](std::int64_t begin, std::int64_t end) { range(arguments, begin, end); });
}

void binary_forward(const Execution& exec, const BinaryExtents& extents, Binary op, const float* a,
                    const float* b, float* y) {
  if (extents.C == 0) return;
  const auto rows = choose(exec.kernels, &reference::binary_forward<float>, &cpu::plain::binary_forward,
                           &cpu::avx2::binary_forward, &cpu::avx512::binary_forward);
  const BinaryForward<float> arguments{extents, op, a, b, y};
  exec.pool->parallel_for(extents.N * extents.P, rows_a_thread(extents.C),
                          [&](std::int64_t begin, std::int64_t end) { rows(arguments, begin, end); });
}

// Threads share what is not summed over; where all rows are, they go by blocks.
void binary_backward(const Execution& exec, const BinaryExtents& extents, Binary op, const float* d_y,
                     const float* b, float* d_a) {
  const auto rows = choose(exec.kernels, &reference::binary_backward<float>, &cpu::plain::binary_backward,
                           &cpu::avx2::binary_backward, &cpu::avx512::binary_backward);
  const BinaryBackward<float> arguments{extents, op, d_y, b};
  const std::int64_t N = extents.N, P = extents.P, C = extents.C;
  if (N * P * C == 0) return;
  const bool sums_images = N > 1 && extents.a.image == 0, sums_rows = P > 1 && extents.a.row == 0;
  if (sums_images && sums_rows) {
    const std::int64_t width = extents.a.column ? C : 1;
    const float* sums = sum_over_rows(
        exec, N * P, width,
        [&](std::int64_t begin, std::int64_t end, float* partial) { rows(arguments, begin, end, partial); });
    for (std::int64_t c = 0; c < width; ++c) d_a[c] += sums[c];
  } else if (sums_images) {
    exec.pool->parallel_for(P, rows_a_thread(N * C), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = 0; n < N; ++n) rows(arguments, n * P + begin, n * P + end, d_a);
    });
  } else if (sums_rows) {
    exec.pool->parallel_for(N, rows_a_thread(P * C), [&](std::int64_t begin, std::int64_t end) {
      rows(arguments, begin * P, end * P, d_a);
    });
  } else {
    exec.pool->parallel_for(N * P, rows_a_thread(C),
                            [&](std::int64_t begin, std::int64_t end) { rows(arguments, begin, end, d_a); });
  }
}

}  // namespace fovea::kernels
