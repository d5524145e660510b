#include "fovea/kernels/cpu/packed_linear.h"

#include <algorithm>
#include <cstdint>

#include "fovea/base/bfloat16.h"
#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/quantise_row.h"

// Bits of words as floats, and words without their lower half: pairs of bf16 as they lie in memory.
namespace fovea::kernels::cpu::plain {
inline Floats bits_as_floats(Words w) { return std::bit_cast<Floats>(w); }
inline Words upper_half(Words w) {
  for (auto& lane : w.lane) lane &= 0xffff0000u;
  return w;
}
}  // namespace fovea::kernels::cpu::plain
FOVEA_TARGET_AVX2
namespace fovea::kernels::cpu::avx2 {
inline Floats bits_as_floats(Words w) { return {_mm256_castsi256_ps(w.v)}; }
inline Words upper_half(Words w) {
  return {_mm256_and_si256(w.v, _mm256_set1_epi32(static_cast<int>(0xffff0000)))};
}
}  // namespace fovea::kernels::cpu::avx2
FOVEA_TARGET_END
FOVEA_TARGET_AVX512
namespace fovea::kernels::cpu::avx512 {
inline Floats bits_as_floats(Words w) { return {_mm512_castsi512_ps(w.v)}; }
inline Words upper_half(Words w) {
  return {_mm512_and_si512(w.v, _mm512_set1_epi32(static_cast<int>(0xffff0000)))};
}
}  // namespace fovea::kernels::cpu::avx512
FOVEA_TARGET_END

#define FOVEA_BODY "fovea/kernels/cpu/packed_linear.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels::cpu {
namespace plain {

LinearRowState linear_prepare_integers(const float* x, std::int64_t K, std::byte* to) {
  auto* q = reinterpret_cast<std::int8_t*>(to);
  const QuantisedRow row = quantise_row(x, K, q);
  for (std::int64_t k = K; k % linear_step_bytes; ++k) q[k] = 0;
  return {row.scale, -128 * row.sum};
}

void linear_tile_integers(int rows, int groups, const LinearTile& t) {
  for (int r = 0; r < rows; ++r) {
    const auto* x = reinterpret_cast<const std::int8_t*>(t.x + r * t.x_stride);
    for (int group = 0; group < groups; ++group) {
      const std::int64_t column = group * linear_lanes;
      const auto* w = reinterpret_cast<const std::uint8_t*>(t.w) + column * linear_step_bytes;
      std::int32_t sum[linear_lanes];
      std::fill_n(sum, linear_lanes, t.state[r].start);
      for (std::int64_t step = 0; step < t.steps; ++step, w += linear_panel * linear_step_bytes)
        for (int n = 0; n < linear_lanes; ++n)
          for (int i = 0; i < linear_step_bytes; ++i)
            sum[n] += w[n * linear_step_bytes + i] * x[step * linear_step_bytes + i];
      for (int n = 0; n < linear_lanes; ++n)
        t.sums[r * linear_panel + column + n] = static_cast<float>(sum[n]);
    }
  }
}

}  // namespace plain

LinearKernels linear_kernels(KernelSet set, DType dtype) {
  const bool wide = set == KernelSet::avx512;
  const auto finish =
      choose(set, &plain::linear_finish, &plain::linear_finish, &avx2::linear_finish, &avx512::linear_finish);
  if (dtype == DType::bf16) {
    if (wide && has_16_bit_dot())
      return {4, 32, false, &avx512_dot16::linear_prepare_pairs, &avx512_dot16::linear_tile_pairs, finish};
    return {8,
            16,
            true,
            choose(set, &plain::linear_prepare_rounded, &plain::linear_prepare_rounded,
                   &avx2::linear_prepare_rounded, &avx512::linear_prepare_rounded),
            choose(set, &plain::linear_tile_widened, &plain::linear_tile_widened, &avx2::linear_tile_widened,
                   &avx512::linear_tile_widened),
            finish};
  }
  if (wide && has_8_bit_dot())
    return {4, 64, false, &avx512_dot8::linear_prepare_integers, &avx512_dot8::linear_tile_integers, finish};
  if (set >= KernelSet::avx2)
    return {8, 24, true, &avx2::linear_prepare_words, &avx2::linear_tile_integers, finish};
  return {4, 4, false, &plain::linear_prepare_integers, &plain::linear_tile_integers, finish};
}

void linear_pack_panel(KernelSet set, const std::byte* from, std::int64_t rows, std::int64_t steps,
                       std::byte* to) {
  choose(set, &plain::linear_transpose, &plain::linear_transpose, &avx2::linear_transpose,
         &avx512::linear_transpose)(reinterpret_cast<const float*>(from), rows, steps,
                                    reinterpret_cast<float*>(to));
}

}  // namespace fovea::kernels::cpu
