#include "fovea/kernels/unit_rows.h"

#include <algorithm>
#include <cmath>

#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/reference/unit_rows.h"
#include "fovea/kernels/row_blocks.h"

#define FOVEA_BODY "fovea/kernels/cpu/unit_rows.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {

void unit_rows_forward(const Execution& exec, const UnitRowsExtents& x_extents, const float* x,
                       const float* sharpness, float* y, float* lengths) {
  const auto [N, H, E] = x_extents;
  const auto one = choose(exec.kernels, &reference::unit_rows_forward, &cpu::plain::unit_rows_forward,
                          &cpu::avx2::unit_rows_forward, &cpu::avx512::unit_rows_forward);
  exec.pool->parallel_for(N, rows_a_thread(H * E), [&, H = H, E = E](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n)
      for (std::int64_t h = 0; h < H; ++h) {
        float length = 0.0f;
        one(E, sharpness ? sharpness[h] : 1.0f, x + (n * H + h) * E, y + (n * H + h) * E, &length);
        if (lengths) lengths[n * H + h] = length;
      }
  });
}

void unit_rows_backward(const Execution& exec, const UnitRowsExtents& extents, const float* d_y,
                        const float* x, const float* sharpness, const float* lengths, float* d_x,
                        float* d_sharpness) {
  const auto one = choose(exec.kernels, &reference::unit_rows_backward, &cpu::plain::unit_rows_backward,
                          &cpu::avx2::unit_rows_backward, &cpu::avx512::unit_rows_backward);
  const std::int64_t H = extents.H, E = extents.E;
  const float* sums =
      sum_over_rows(exec, extents.N, H, [&](std::int64_t begin, std::int64_t end, float* partial) {
        for (std::int64_t n = begin; n < end; ++n)
          for (std::int64_t h = 0; h < H; ++h) {
            const std::int64_t at = (n * H + h) * E;
            partial[h] +=
                one(E, sharpness ? sharpness[h] : 1.0f, lengths[n * H + h], d_y + at, x + at, d_x + at);
          }
      });
  if (sums && d_sharpness)
    for (std::int64_t h = 0; h < H; ++h) d_sharpness[h] += sums[h];
}

}  // namespace fovea::kernels
