#include "fovea/kernels/rotary.h"

#include <algorithm>

#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/cpu/rotary_pairs.h"
#include "fovea/kernels/reference/rotary.h"
#include "fovea/kernels/row_blocks.h"

#define FOVEA_BODY "fovea/kernels/cpu/rotary.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {

void rotary(const Execution& exec, const RotaryExtents& extents, const std::int32_t* position,
            const float* cos, const float* sin, const float* x, float* y) {
  const auto rows = choose(exec.kernels, &reference::rotary<float>, &cpu::plain::rotary, &cpu::avx2::rotary,
                           &cpu::avx512::rotary);
  const RotaryRows<float> arguments{extents, position, cos, sin, x, y};
  exec.pool->parallel_for(extents.N, rows_a_thread(extents.heads * extents.width),
                          [&](std::int64_t begin, std::int64_t end) { rows(arguments, begin, end); });
}

}  // namespace fovea::kernels
