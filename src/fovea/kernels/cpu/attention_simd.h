#pragma once

#include <cmath>
#include <cstdint>

#include "fovea/kernels/cpu/simd.h"

// Loops over constant bounds whose arrays live in registers.
#if defined(__clang__)
#define FOVEA_UNROLL _Pragma("unroll")
#else
#define FOVEA_UNROLL _Pragma("GCC unroll 16")
#endif

#define FOVEA_INLINE inline __attribute__((always_inline))

/// What attention needs of vectors beyond simd.h, once per instruction set. Each namespace has
///   block_vectors           vectors of queries in a block, and vectors of columns in a tile of a product
///   max_rows(vectors)       rows of a tile with so many vectors of columns: what the registers hold
///   score_rows(vectors)     the same for tiles of scores, which need not skip anything
///   select_less(a,b,x,y)    lane by lane: a < b ? x : y (NaN: y)
///   exp2(v)                 relative error below 1.5e-7 for v <= 127; 0 for v < -160; NaN stays NaN
///   log(v)                  of normal positive floats, relative error below 2e-7
///   lane_sums(rows)         lane i: the sum of rows[i], i < width
///   transpose4(rows, column, to, to_stride, factor)
///                           to[c*to_stride + i] = factor * rows[i][column + c] for c < 4, i < width

// Minimax polynomial of degree 6 for 2^r on [-1/2, 1/2] (Remez, relative error 2e-9 before rounding).
#define FOVEA_EXP2_BODY(lowest)               \
  const Floats x = max(broadcast(lowest), v); \
  const Floats n = round(x);                  \
  const Floats r = sub(x, n);                 \
  Floats y = broadcast(1.534581243e-04f);     \
  y = fma(y, r, broadcast(1.339993090e-03f)); \
  y = fma(y, r, broadcast(9.618489072e-03f)); \
  y = fma(y, r, broadcast(5.550328642e-02f)); \
  y = fma(y, r, broadcast(2.402264625e-01f)); \
  y = fma(y, r, broadcast(6.931471825e-01f)); \
  y = scale_by_power(fma(y, r, broadcast(1.0f)), n)

// Cephes' logf, of 2^e * f with f in [sqrt(1/2), sqrt(2)).
#define FOVEA_LOG_BODY                                       \
  const Floats x = sub(f, broadcast(1.0f));                  \
  const Floats z = mul(x, x);                                \
  Floats y = broadcast(7.0376836292e-2f);                    \
  y = fma(y, x, broadcast(-1.1514610310e-1f));               \
  y = fma(y, x, broadcast(1.1676998740e-1f));                \
  y = fma(y, x, broadcast(-1.2420140846e-1f));               \
  y = fma(y, x, broadcast(1.4249322787e-1f));                \
  y = fma(y, x, broadcast(-1.6668057665e-1f));               \
  y = fma(y, x, broadcast(2.0000714765e-1f));                \
  y = fma(y, x, broadcast(-2.4999993993e-1f));               \
  y = fma(y, x, broadcast(3.3333331174e-1f));                \
  y = fma(e, broadcast(-2.12194440e-4f), mul(y, mul(x, z))); \
  y = add(fnma(z, broadcast(0.5f), y), x);                   \
  return fma(e, broadcast(0.693359375f), y)

namespace fovea::kernels::cpu::plain {

inline constexpr int block_vectors = 1;
constexpr int max_rows(int) { return 4; }
constexpr int score_rows(int) { return 4; }

inline Floats select_less(Floats a, Floats b, Floats x, Floats y) {
  Floats out;
  for (int i = 0; i < width; ++i) out.lane[i] = a.lane[i] < b.lane[i] ? x.lane[i] : y.lane[i];
  return out;
}
inline Floats exp2(Floats v) {
  FOVEA_EXP2_BODY(-126.0f);
  return zero_below(y, v, -126.0f);
}
inline Floats log(Floats v) {
  Floats out;
  for (int i = 0; i < width; ++i) out.lane[i] = std::log(v.lane[i]);
  return out;
}
inline Floats lane_sums(const Floats* rows) {
  Floats out;
  for (int i = 0; i < width; ++i) out.lane[i] = sum(rows[i]);
  return out;
}
inline void transpose4(const float* const* rows, std::int64_t column, float* to, std::int64_t to_stride,
                       float factor) {
  for (int c = 0; c < 4; ++c)
    for (int i = 0; i < width; ++i) to[c * to_stride + i] = factor * rows[i][column + c];
}

}  // namespace fovea::kernels::cpu::plain

FOVEA_TARGET_AVX2
namespace fovea::kernels::cpu::avx2 {

inline constexpr int block_vectors = 2;
constexpr int max_rows(int vectors) { return vectors == 1 ? 8 : 6; }
constexpr int score_rows(int vectors) { return vectors == 1 ? 12 : 6; }

inline Floats select_less(Floats a, Floats b, Floats x, Floats y) {
  return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ))};
}
inline Floats exp2(Floats v) {
  FOVEA_EXP2_BODY(-126.0f);
  return zero_below(y, v, -126.0f);
}
inline Floats log(Floats v) {
  const __m256i bits = _mm256_castps_si256(v.v);
  const __m256i power = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f3504f3)), 23);
  const Floats e{_mm256_cvtepi32_ps(power)};
  const Floats f{_mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(power, 23)))};
  FOVEA_LOG_BODY;
}
inline Floats lane_sums(const Floats* rows) {
  __m256 quads[2];  // lane i of a 128-bit half: half the sum of row 4*quad + i
  for (int quad = 0; quad < 2; ++quad) {
    const Floats* m = rows + 4 * quad;
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(m[0].v, m[1].v), _mm256_unpackhi_ps(m[0].v, m[1].v));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(m[2].v, m[3].v), _mm256_unpackhi_ps(m[2].v, m[3].v));
    quads[quad] = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
  }
  return {_mm256_add_ps(_mm256_permute2f128_ps(quads[0], quads[1], 0x20),
                        _mm256_permute2f128_ps(quads[0], quads[1], 0x31))};
}
inline void transpose4(const float* const* rows, std::int64_t column, float* to, std::int64_t to_stride,
                       float factor) {
  __m256 m[4];
  for (int i = 0; i < 4; ++i)
    m[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(rows[i] + column)),
                                _mm_loadu_ps(rows[i + 4] + column), 1);
  const __m256 low01 = _mm256_unpacklo_ps(m[0], m[1]), high01 = _mm256_unpackhi_ps(m[0], m[1]);
  const __m256 low23 = _mm256_unpacklo_ps(m[2], m[3]), high23 = _mm256_unpackhi_ps(m[2], m[3]);
  const __m256 scale = _mm256_set1_ps(factor);
  _mm256_storeu_ps(to, _mm256_mul_ps(scale, _mm256_shuffle_ps(low01, low23, 0x44)));
  _mm256_storeu_ps(to + to_stride, _mm256_mul_ps(scale, _mm256_shuffle_ps(low01, low23, 0xee)));
  _mm256_storeu_ps(to + 2 * to_stride, _mm256_mul_ps(scale, _mm256_shuffle_ps(high01, high23, 0x44)));
  _mm256_storeu_ps(to + 3 * to_stride, _mm256_mul_ps(scale, _mm256_shuffle_ps(high01, high23, 0xee)));
}

}  // namespace fovea::kernels::cpu::avx2
FOVEA_TARGET_END

FOVEA_TARGET_AVX512
namespace fovea::kernels::cpu::avx512 {

inline constexpr int block_vectors = 4;
constexpr int max_rows(int vectors) { return vectors == 4 ? 6 : 8; }
constexpr int score_rows(int vectors) { return vectors == 4 ? 6 : 8; }

inline Floats select_less(Floats a, Floats b, Floats x, Floats y) {
  return {_mm512_mask_mov_ps(y.v, _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), x.v)};
}
inline Floats exp2(Floats v) {
  FOVEA_EXP2_BODY(-160.0f);
  return y;  // scalef takes care of underflow
}
inline Floats log(Floats v) {
  const __m512i bits = _mm512_castps_si512(v.v);
  const __m512i power = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3f3504f3)), 23);
  const Floats e{_mm512_cvtepi32_ps(power)};
  const Floats f{_mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(power, 23)))};
  FOVEA_LOG_BODY;
}
inline Floats lane_sums(const Floats* rows) {
  __m512 quads[4];  // lane i of each 128-bit quarter: a quarter of the sum of row 4*quad + i
  for (int quad = 0; quad < 4; ++quad) {
    const Floats* m = rows + 4 * quad;
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(m[0].v, m[1].v), _mm512_unpackhi_ps(m[0].v, m[1].v));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(m[2].v, m[3].v), _mm512_unpackhi_ps(m[2].v, m[3].v));
    quads[quad] = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
  }
  const __m512 low = _mm512_add_ps(_mm512_shuffle_f32x4(quads[0], quads[1], 0x88),
                                   _mm512_shuffle_f32x4(quads[0], quads[1], 0xdd));
  const __m512 high = _mm512_add_ps(_mm512_shuffle_f32x4(quads[2], quads[3], 0x88),
                                    _mm512_shuffle_f32x4(quads[2], quads[3], 0xdd));
  return {_mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd))};
}
// Loads put rows i, i+4, i+8 and i+12 side by side, so that 128-bit transposes finish the work.
inline void transpose4(const float* const* rows, std::int64_t column, float* to, std::int64_t to_stride,
                       float factor) {
  __m512 m[4];
  for (int i = 0; i < 4; ++i) {
    m[i] = _mm512_castps128_ps512(_mm_loadu_ps(rows[i] + column));
    m[i] = _mm512_insertf32x4(m[i], _mm_loadu_ps(rows[i + 4] + column), 1);
    m[i] = _mm512_insertf32x4(m[i], _mm_loadu_ps(rows[i + 8] + column), 2);
    m[i] = _mm512_insertf32x4(m[i], _mm_loadu_ps(rows[i + 12] + column), 3);
  }
  const __m512 low01 = _mm512_unpacklo_ps(m[0], m[1]), high01 = _mm512_unpackhi_ps(m[0], m[1]);
  const __m512 low23 = _mm512_unpacklo_ps(m[2], m[3]), high23 = _mm512_unpackhi_ps(m[2], m[3]);
  const __m512 scale = _mm512_set1_ps(factor);
  _mm512_storeu_ps(to, _mm512_mul_ps(scale, _mm512_shuffle_ps(low01, low23, 0x44)));
  _mm512_storeu_ps(to + to_stride, _mm512_mul_ps(scale, _mm512_shuffle_ps(low01, low23, 0xee)));
  _mm512_storeu_ps(to + 2 * to_stride, _mm512_mul_ps(scale, _mm512_shuffle_ps(high01, high23, 0x44)));
  _mm512_storeu_ps(to + 3 * to_stride, _mm512_mul_ps(scale, _mm512_shuffle_ps(high01, high23, 0xee)));
}

}  // namespace fovea::kernels::cpu::avx512
FOVEA_TARGET_END

#undef FOVEA_EXP2_BODY
#undef FOVEA_LOG_BODY
