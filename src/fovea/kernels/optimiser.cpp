#include "fovea/kernels/optimiser.h"

#include <algorithm>
#include <cmath>

#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/reference/optimiser.h"

#define FOVEA_BODY "fovea/kernels/cpu/optimiser.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {
namespace reference {

double block_squares(const float* x, std::int64_t count) {
  double total = 0;
  for (std::int64_t i = 0; i < count; ++i) total += static_cast<double>(x[i]) * x[i];
  return total;
}

}  // namespace reference

void adam(const Execution& exec, std::int64_t count, const AdamStep& step, const float* gradient, float* m,
          float* v, float* weights, float* average) {
  const auto range =
      choose(exec.kernels, &reference::adam<float>, &cpu::plain::adam, &cpu::avx2::adam, &cpu::avx512::adam);
  const Adam<float> arguments{step, gradient, m, v, weights, average};
  exec.pool->parallel_for(count, 8192,
                          [&](std::int64_t begin, std::int64_t end) { range(arguments, begin, end); });
}

double sum_of_squares(const Execution& exec, std::int64_t count, const float* x) {
  constexpr std::int64_t block = 16384;
  const auto squares = choose(exec.kernels, &reference::block_squares, &cpu::plain::block_squares,
                              &cpu::avx2::block_squares, &cpu::avx512::block_squares);
  const std::int64_t blocks = (count + block - 1) / block;
  const std::size_t doubles = static_cast<std::size_t>(blocks) + 1;
  static_assert(sizeof(double) == 2 * sizeof(float));
  auto* partial = new (static_cast<void*>(exec.workspace->get(0, 6, 2 * doubles))) double[doubles];
  exec.pool->parallel_for(blocks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t b = first; b < last; ++b)
      partial[b] = squares(x + b * block, std::min(block, count - b * block));
  });
  double total = 0;
  for (std::int64_t b = 0; b < blocks; ++b) total += partial[b];
  return total;
}

}  // namespace fovea::kernels
