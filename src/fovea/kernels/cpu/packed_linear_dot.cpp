// The processor's dot products with AVX-512: vdpbf16ps (pairs of bf16 into f32) and vpdpbusd (four 8-bit
// products into a 32-bit integer, exact). Weights are its unsigned operand, so that their offset of 128 costs
// one number a row of x.

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <utility>

#include "fovea/kernels/cpu/packed_linear.h"
#include "fovea/kernels/cpu/targets.h"

FOVEA_TARGET_DOT16
namespace fovea::kernels::cpu::avx512_dot16 {
namespace {
using Sum = __m512;
inline Sum start_of(const LinearRowState&) { return _mm512_setzero_ps(); }
inline __m512 as_floats(Sum sum) { return sum; }
inline void dot(Sum& sum, __m512i w, __m512i x) { sum = _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)x); }
#include "fovea/kernels/cpu/packed_linear_dot.inl"
}  // namespace

LinearRowState linear_prepare_pairs(const float* x, std::int64_t K, std::byte* to) {
  // Denormals become 0, as vdpbf16ps takes them anyway.
  auto* rounded = reinterpret_cast<std::uint16_t*>(to);
  std::int64_t k = 0;
  for (; k + 16 <= K; k += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(rounded + k),
                        (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + k)));
  if (k < K) {
    const auto rest = static_cast<__mmask16>((1u << (K - k)) - 1u);
    const auto written = static_cast<__mmask16>((1u << (K - k + K % 2)) - 1u);
    _mm256_mask_storeu_epi16(rounded + k, written,
                             (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(rest, x + k)));
  }
  return {};
}

void linear_tile_pairs(int rows, int groups, const LinearTile& tile) {
  tiles[static_cast<std::size_t>((rows - 1) * 4 + groups - 1)](tile);
}
}  // namespace fovea::kernels::cpu::avx512_dot16
FOVEA_TARGET_END

FOVEA_TARGET_DOT8
namespace fovea::kernels::cpu::avx512_dot8 {
namespace {
using Sum = __m512i;
inline Sum start_of(const LinearRowState& state) { return _mm512_set1_epi32(state.start); }
inline __m512 as_floats(Sum sum) { return _mm512_cvtepi32_ps(sum); }
// Not by intrinsic: GCC 12 copies the sum there and back.
inline void dot(Sum& sum, __m512i w, __m512i x) { asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x)); }
#include "fovea/kernels/cpu/packed_linear_dot.inl"

// Calls body(k, v) with 16 elements at a time, zeros after the last.
template <class Body>
inline void for_row(const float* x, std::int64_t K, const Body& body) {
  std::int64_t k = 0;
  for (; k + 16 <= K; k += 16) body(k, _mm512_loadu_ps(x + k));
  if (k < K) body(k, _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << (K - k)) - 1u), x + k));
}
}  // namespace

// quantise_row() by hand: the same bits. Rows have room for 16 elements beyond K.
LinearRowState linear_prepare_integers(const float* x, std::int64_t K, std::byte* to) {
  __m512i most = _mm512_setzero_si512(), sum = most;
  for_row(x, K, [&](std::int64_t, __m512 v) {
    most = _mm512_max_epi32(most, _mm512_castps_si512(_mm512_abs_ps(v)));
  });
  const std::int32_t maximum_bits = _mm512_reduce_max_epi32(most);
  const float maximum = std::bit_cast<float>(maximum_bits);
  const bool finite = maximum_bits < 0x7f800000, counts = finite && maximum >= 0x1p-100f;
  const __m512 factor = _mm512_set1_ps(counts ? 127.0f / maximum : 0.0f);
  for_row(x, K, [&](std::int64_t k, __m512 v) {
    const __m512i q = counts ? _mm512_cvtps_epi32(_mm512_mul_ps(v, factor)) : _mm512_setzero_si512();
    sum = _mm512_add_epi32(sum, q);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + k), _mm512_cvtepi32_epi8(q));
  });
  const float scale = counts ? maximum / 127.0f : finite ? 0.0f : std::numeric_limits<float>::quiet_NaN();
  return {scale, -128 * _mm512_reduce_add_epi32(sum)};
}

void linear_tile_integers(int rows, int groups, const LinearTile& tile) {
  tiles[static_cast<std::size_t>((rows - 1) * 4 + groups - 1)](tile);
}
}  // namespace fovea::kernels::cpu::avx512_dot8
FOVEA_TARGET_END
