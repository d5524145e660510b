#include "fovea/kernels/dropout.h"

#include "fovea/kernels/cpu/dropout.h"

namespace fovea::kernels {
namespace reference {

void dropout_multipliers(const Dropout& dropout, std::uint64_t first, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = dropout.multiplier(first + static_cast<std::uint64_t>(i));
}

}  // namespace reference

void dropout_multipliers(KernelSet kernels, const Dropout& dropout, std::uint64_t first, std::int64_t count,
                         float* out) {
  choose(kernels, &reference::dropout_multipliers, &cpu::plain::dropout_multipliers,
         &cpu::avx2::dropout_multipliers, &cpu::avx512::dropout_multipliers)(dropout, first, count, out);
}

}  // namespace fovea::kernels
