#include "fovea/kernels/dropout.h"

#include "fovea/kernels/cpu/dropout.h"

namespace fovea::kernels {
namespace reference {

void dropout_multipliers(const Dropout& dropout, std::uint64_t first, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = dropout.multiplier(first + static_cast<std::uint64_t>(i));
}

void add_dropped(const Dropout& dropout, std::uint64_t first, std::int64_t count, const float* x,
                 const float* residual, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float dropped = dropout.multiplier(first + static_cast<std::uint64_t>(i)) * x[i];
    out[i] = residual ? residual[i] + dropped : dropped;
  }
}

}  // namespace reference

void dropout_multipliers(KernelSet kernels, const Dropout& dropout, std::uint64_t first, std::int64_t count,
                         float* out) {
  choose(kernels, &reference::dropout_multipliers, &cpu::plain::dropout_multipliers,
         &cpu::avx2::dropout_multipliers, &cpu::avx512::dropout_multipliers)(dropout, first, count, out);
}

void residual_dropout(const Execution& exec, std::int64_t count, const Dropout& dropout, const float* x,
                      const float* residual, float* out) {
  const auto range = choose(exec.kernels, &reference::add_dropped, &cpu::plain::add_dropped,
                            &cpu::avx2::add_dropped, &cpu::avx512::add_dropped);
  exec.pool->parallel_for(count, 16384, [&](std::int64_t begin, std::int64_t end) {
    range(dropout, static_cast<std::uint64_t>(begin), end - begin, x + begin,
          residual ? residual + begin : nullptr, out + begin);
  });
}

}  // namespace fovea::kernels
