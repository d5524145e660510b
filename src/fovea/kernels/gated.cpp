#include "fovea/kernels/gated.h"

#include <algorithm>
#include <limits>

#include "fovea/kernels/cpu/dropout.h"
#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/reference/gated.h"
#include "fovea/kernels/row_blocks.h"

#define FOVEA_BODY "fovea/kernels/cpu/gated.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {

void gated_forward(const Execution& exec, const GatedExtents& extents, const float* gate_up, float* out) {
  const auto rows = choose(exec.kernels, &reference::gated_forward<float>, &cpu::plain::gated_forward,
                           &cpu::avx2::gated_forward, &cpu::avx512::gated_forward);
  const GatedForward<float> arguments{extents, gate_up, out};
  exec.pool->parallel_for(extents.N, rows_a_thread(2 * extents.F),
                          [&](std::int64_t begin, std::int64_t end) { rows(arguments, begin, end); });
}

void gated_backward(const Execution& exec, const GatedExtents& extents, const float* gate_up,
                    const float* d_out, float* d_gate_up) {
  const auto rows = choose(exec.kernels, &reference::gated_backward<float>, &cpu::plain::gated_backward,
                           &cpu::avx2::gated_backward, &cpu::avx512::gated_backward);
  const GatedBackward<float> arguments{extents, gate_up, d_out, d_gate_up};
  exec.pool->parallel_for(extents.N, rows_a_thread(2 * extents.F),
                          [&](std::int64_t begin, std::int64_t end) { rows(arguments, begin, end); });
}

}  // namespace fovea::kernels
