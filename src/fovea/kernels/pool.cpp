#include "fovea/kernels/pool.h"

#include <algorithm>
#include <limits>

#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/reference/pool.h"
#include "fovea/kernels/row_blocks.h"

#define FOVEA_BODY "fovea/kernels/cpu/pool.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {

void pool_pixels(const Execution& exec, std::int64_t N, std::int64_t P, std::int64_t C, const float* x,
                 float* average, float* maximum, std::int32_t* which) {
  if (P == 0) {
    if (average) std::fill_n(average, N * C, 0.0f);
    if (maximum) std::fill_n(maximum, N * C, 0.0f);
    if (which) std::fill_n(which, N * C, -1);
    return;
  }
  const auto image = choose(exec.kernels, &reference::pool_pixels<float>, &cpu::plain::pool_pixels,
                            &cpu::avx2::pool_pixels, &cpu::avx512::pool_pixels);
  const PoolPixels<float> arguments{P, C, x, average, maximum, which};
  constexpr std::int64_t block = 64;  // channels a thread takes at a time: whole cache lines
  const std::int64_t blocks = (C + block - 1) / block;
  exec.pool->parallel_for(N * blocks, rows_a_thread(P * block), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      image(arguments, i / blocks, i % blocks * block, std::min(C, (i % blocks + 1) * block));
  });
}

void pool_pixels_backward(const Execution& exec, std::int64_t N, std::int64_t P, std::int64_t C,
                          const float* d_average, const float* d_maximum, const std::int32_t* which,
                          float* d_x) {
  const float share = 1.0f / static_cast<float>(P);
  if (d_average)
    exec.pool->parallel_for(N * P, rows_a_thread(C), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        for (std::int64_t c = 0; c < C; ++c) d_x[r * C + c] += share * d_average[r / P * C + c];
    });
  if (!d_maximum || P == 0) return;
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t c = 0; c < C; ++c) d_x[(n * P + which[n * C + c]) * C + c] += d_maximum[n * C + c];
}

void pool_channels(const Execution& exec, std::int64_t rows, std::int64_t C, const float* x, float* out,
                   std::int32_t* which) {
  const auto range = choose(exec.kernels, &reference::pool_channels<float>, &cpu::plain::pool_channels,
                            &cpu::avx2::pool_channels, &cpu::avx512::pool_channels);
  const PoolChannels<float> arguments{C, x, out, which};
  exec.pool->parallel_for(rows, rows_a_thread(C),
                          [&](std::int64_t begin, std::int64_t end) { range(arguments, begin, end); });
}

void pool_channels_backward(const Execution& exec, std::int64_t rows, std::int64_t C, const float* d_out,
                            const std::int32_t* which, float* d_x) {
  const float share = 1.0f / static_cast<float>(C);
  exec.pool->parallel_for(rows, rows_a_thread(C), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float d_average = share * d_out[2 * r];
      for (std::int64_t c = 0; c < C; ++c) d_x[r * C + c] += d_average;
      d_x[r * C + which[r]] += d_out[2 * r + 1];
    }
  });
}

}  // namespace fovea::kernels
