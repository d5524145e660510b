#include "fovea/kernels/column_sum.h"

#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/row_blocks.h"

#define FOVEA_BODY "fovea/kernels/cpu/column_sum.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {
namespace reference {

void add_rows(const float* d_y, std::int64_t D, std::int64_t begin, std::int64_t end, float* sums) {
  for (std::int64_t n = begin; n < end; ++n)
    for (std::int64_t d = 0; d < D; ++d) sums[d] += d_y[n * D + d];
}

}  // namespace reference

void column_sum(const Execution& exec, std::int64_t N, std::int64_t D, const float* d_y, float* d_bias) {
  const auto rows = choose(exec.kernels, &reference::add_rows, &cpu::plain::add_rows, &cpu::avx2::add_rows,
                           &cpu::avx512::add_rows);
  const float* sums = sum_over_rows(exec, N, D, [&](std::int64_t begin, std::int64_t end, float* partial) {
    rows(d_y, D, begin, end, partial);
  });
  if (!sums) return;
  for (std::int64_t d = 0; d < D; ++d) d_bias[d] += sums[d];
}

}  // namespace fovea::kernels
