#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "fovea/kernels/cpu/targets.h"

/// One vector of floats per instruction set under the same names, so that a kernel's body is written once
/// (see for_each_isa.h). Each namespace has
///   Floats                 a vector of `width` floats, by value
///   load, load_first(p,n), store, store_first(p,v,n), broadcast, zero
///   add, sub, mul, div, min, max, fma(a,b,c) = a*b + c, fnma(a,b,c) = c - a*b, sqrt
///   add_product(sum,a,b)   sum = fma(a,b,sum), in its register: where a tile takes all 16 of AVX2, GCC 12
///                          copies the sums of intrinsics from one to another
///   sum(v), max_of(v)      horizontal
///   registers              how many Floats the processor holds at once
///   where_below(v, bound, yes, no)        lane by lane: v < bound ? yes : no (NaN: no)
///   transpose_square(from, from_stride, to, to_stride)    to[i][j] = from[j][i] for a width x width block
///   load_first(p,n,rest)   as load_first, with the lanes of `rest` beyond n
///   first(v, n)            lanes below n of v, 0 elsewhere
///   select_greater(a,b,x,y) lanes of x where a > b, of y elsewhere
///   greater(a, b)          bit i is set where lane i of a > lane i of b
///   exp(v)                 relative error below 2e-7; 0 below -87.3, finite above 88.37 (clamped); NaN stays
///   Words                  a vector of `width` unsigned 32-bit integers: load_words, broadcast_words, add,
///   bit_xor,
///                          shift_left<bits>, multiply(a, b) = {high, low} words of the 64-bit products
///   value_at_least(w,t,x)  floats: x where w >= t, 0 elsewhere
/// min and max give their second operand where one is NaN. load_first reads n < width floats (0 elsewhere)
/// and touches no memory beyond them.

// Cephes' expf: 2^n * polynomial of degree 5 on [-ln2/2, ln2/2].
#define FOVEA_EXP_BODY                                                                       \
  const Floats x = min(broadcast(88.3762626f), max(broadcast(-87.3365447f), v));             \
  const Floats n = round(mul(x, broadcast(1.44269504f)));                                    \
  const Floats r = fnma(n, broadcast(-2.12194440e-4f), fnma(n, broadcast(0.693359375f), x)); \
  Floats y = broadcast(1.9875691500e-4f);                                                    \
  y = fma(y, r, broadcast(1.3981999507e-3f));                                                \
  y = fma(y, r, broadcast(8.3334519073e-3f));                                                \
  y = fma(y, r, broadcast(4.1665795894e-2f));                                                \
  y = fma(y, r, broadcast(1.6666665459e-1f));                                                \
  y = fma(y, r, broadcast(5.0000001201e-1f));                                                \
  y = add(fma(y, mul(r, r), r), broadcast(1.0f));                                            \
  return zero_below(scale_by_power(y, n), v, -87.3365447f)

namespace fovea::kernels::cpu::plain {

inline constexpr int width = 8;
inline constexpr int registers = 8;
struct Floats {
  float lane[width];
};

#define FOVEA_LANES(expression)                               \
  Floats out;                                                 \
  for (int i = 0; i < width; ++i) out.lane[i] = (expression); \
  return out
inline Floats load(const float* p) { FOVEA_LANES(p[i]); }
inline Floats load_first(const float* p, int n) { FOVEA_LANES(i < n ? p[i] : 0.0f); }
inline void store(float* p, Floats v) { std::copy(v.lane, v.lane + width, p); }
inline void store_first(float* p, Floats v, int n) { std::copy(v.lane, v.lane + n, p); }
inline Floats broadcast(float x) { FOVEA_LANES(x); }
inline Floats zero() { return broadcast(0.0f); }
inline Floats add(Floats a, Floats b) { FOVEA_LANES(a.lane[i] + b.lane[i]); }
inline Floats sub(Floats a, Floats b) { FOVEA_LANES(a.lane[i] - b.lane[i]); }
inline Floats mul(Floats a, Floats b) { FOVEA_LANES(a.lane[i] * b.lane[i]); }
inline Floats div(Floats a, Floats b) { FOVEA_LANES(a.lane[i] / b.lane[i]); }
inline Floats min(Floats a, Floats b) { FOVEA_LANES(a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]); }
inline Floats max(Floats a, Floats b) { FOVEA_LANES(a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]); }
inline Floats fma(Floats a, Floats b, Floats c) { FOVEA_LANES(a.lane[i] * b.lane[i] + c.lane[i]); }
inline void add_product(Floats& sum, Floats a, Floats b) { sum = fma(a, b, sum); }
inline Floats fnma(Floats a, Floats b, Floats c) { FOVEA_LANES(c.lane[i] - a.lane[i] * b.lane[i]); }
inline Floats sqrt(Floats a) { FOVEA_LANES(std::sqrt(a.lane[i])); }
inline Floats round(Floats a) { FOVEA_LANES(std::nearbyint(a.lane[i])); }
inline Floats scale_by_power(Floats y, Floats n) {
  FOVEA_LANES(std::ldexp(y.lane[i], static_cast<int>(n.lane[i])));
}
inline Floats zero_below(Floats y, Floats v, float bound) {
  FOVEA_LANES(v.lane[i] < bound ? 0.0f : y.lane[i]);
}
inline Floats where_below(Floats v, float bound, Floats yes, Floats no) {
  FOVEA_LANES(v.lane[i] < bound ? yes.lane[i] : no.lane[i]);
}
#undef FOVEA_LANES
inline void transpose_square(const float* from, std::int64_t from_stride, float* to, std::int64_t to_stride) {
  for (int j = 0; j < width; ++j)
    for (int i = 0; i < width; ++i) to[i * to_stride + j] = from[j * from_stride + i];
}
inline float sum(Floats v) {
  return ((v.lane[0] + v.lane[4]) + (v.lane[2] + v.lane[6])) +
         ((v.lane[1] + v.lane[5]) + (v.lane[3] + v.lane[7]));
}
inline float max_of(Floats v) { return *std::max_element(v.lane, v.lane + width); }
inline Floats exp(Floats v) { FOVEA_EXP_BODY; }

struct Words {
  std::uint32_t lane[width];
};
struct WordPair {
  Words high, low;
};
#define FOVEA_WORDS(expression)                               \
  Words out;                                                  \
  for (int i = 0; i < width; ++i) out.lane[i] = (expression); \
  return out
inline Words load_words(const std::uint32_t* p) { FOVEA_WORDS(p[i]); }
inline Words broadcast_words(std::uint32_t x) { FOVEA_WORDS(x); }
inline Words add(Words a, Words b) { FOVEA_WORDS(a.lane[i] + b.lane[i]); }
inline Words bit_xor(Words a, Words b) { FOVEA_WORDS(a.lane[i] ^ b.lane[i]); }
template <int bits>
inline Words shift_left(Words a) {
  FOVEA_WORDS(a.lane[i] << bits);
}
#undef FOVEA_WORDS
inline WordPair multiply(Words a, Words b) {
  WordPair out;
  for (int i = 0; i < width; ++i) {
    const std::uint64_t product = std::uint64_t{a.lane[i]} * b.lane[i];
    out.high.lane[i] = static_cast<std::uint32_t>(product >> 32);
    out.low.lane[i] = static_cast<std::uint32_t>(product);
  }
  return out;
}
inline Floats value_at_least(Words w, Words t, Floats x) {
  Floats out;
  for (int i = 0; i < width; ++i) out.lane[i] = w.lane[i] >= t.lane[i] ? x.lane[i] : 0.0f;
  return out;
}
inline unsigned greater(Floats a, Floats b) {
  unsigned bits = 0;
  for (int i = 0; i < width; ++i) bits |= static_cast<unsigned>(a.lane[i] > b.lane[i]) << i;
  return bits;
}
inline Floats load_first(const float* p, int n, Floats rest) {
  for (int i = 0; i < n; ++i) rest.lane[i] = p[i];
  return rest;
}
inline Floats first(Floats v, int n) {
  for (int i = n; i < width; ++i) v.lane[i] = 0.0f;
  return v;
}
inline Floats select_greater(Floats a, Floats b, Floats x, Floats y) {
  for (int i = 0; i < width; ++i) y.lane[i] = a.lane[i] > b.lane[i] ? x.lane[i] : y.lane[i];
  return y;
}

}  // namespace fovea::kernels::cpu::plain

FOVEA_TARGET_AVX2
namespace fovea::kernels::cpu::avx2 {

inline constexpr int width = 8;
inline constexpr int registers = 16;
struct Floats {
  __m256 v;
};

inline __m256i first_lanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Floats load(const float* p) { return {_mm256_loadu_ps(p)}; }
inline Floats load_first(const float* p, int n) { return {_mm256_maskload_ps(p, first_lanes(n))}; }
inline void store(float* p, Floats a) { _mm256_storeu_ps(p, a.v); }
inline void store_first(float* p, Floats a, int n) { _mm256_maskstore_ps(p, first_lanes(n), a.v); }
inline Floats broadcast(float x) { return {_mm256_set1_ps(x)}; }
inline Floats zero() { return {_mm256_setzero_ps()}; }
inline Floats add(Floats a, Floats b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Floats sub(Floats a, Floats b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Floats mul(Floats a, Floats b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Floats div(Floats a, Floats b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Floats min(Floats a, Floats b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Floats max(Floats a, Floats b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Floats fma(Floats a, Floats b, Floats c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline void add_product(Floats& sum, Floats a, Floats b) {
  asm("vfmadd231ps %2, %1, %0" : "+x"(sum.v) : "x"(a.v), "x"(b.v));
}
inline Floats fnma(Floats a, Floats b, Floats c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
inline Floats sqrt(Floats a) { return {_mm256_sqrt_ps(a.v)}; }
inline Floats round(Floats a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline Floats scale_by_power(Floats y, Floats n) {
  const __m256i bits =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127)), 23);
  return {_mm256_mul_ps(y.v, _mm256_castsi256_ps(bits))};
}
inline Floats zero_below(Floats y, Floats v, float bound) {
  return {_mm256_andnot_ps(_mm256_cmp_ps(v.v, _mm256_set1_ps(bound), _CMP_LT_OQ), y.v)};
}
inline Floats where_below(Floats v, float bound, Floats yes, Floats no) {
  return {_mm256_blendv_ps(no.v, yes.v, _mm256_cmp_ps(v.v, _mm256_set1_ps(bound), _CMP_LT_OQ))};
}
// Four columns at a time: rows r and r + 4 share a vector, then each 128-bit lane is a 4x4 transpose.
inline void transpose_square(const float* from, std::int64_t from_stride, float* to, std::int64_t to_stride) {
  for (int column = 0; column < width; column += 4) {
    __m256 row[4];
    for (int r = 0; r < 4; ++r) {
      const float* p = from + r * from_stride + column;
      row[r] =
          _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 4 * from_stride), 1);
    }
    const __m256d low01 = _mm256_castps_pd(_mm256_unpacklo_ps(row[0], row[1]));
    const __m256d low23 = _mm256_castps_pd(_mm256_unpacklo_ps(row[2], row[3]));
    const __m256d high01 = _mm256_castps_pd(_mm256_unpackhi_ps(row[0], row[1]));
    const __m256d high23 = _mm256_castps_pd(_mm256_unpackhi_ps(row[2], row[3]));
    float* out = to + column * to_stride;
    _mm256_storeu_ps(out, _mm256_castpd_ps(_mm256_unpacklo_pd(low01, low23)));
    _mm256_storeu_ps(out + to_stride, _mm256_castpd_ps(_mm256_unpackhi_pd(low01, low23)));
    _mm256_storeu_ps(out + 2 * to_stride, _mm256_castpd_ps(_mm256_unpacklo_pd(high01, high23)));
    _mm256_storeu_ps(out + 3 * to_stride, _mm256_castpd_ps(_mm256_unpackhi_pd(high01, high23)));
  }
}
inline float sum(Floats a) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
inline float max_of(Floats a) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}
inline Floats exp(Floats v) { FOVEA_EXP_BODY; }

struct Words {
  __m256i v;
};
struct WordPair {
  Words high, low;
};
inline Words load_words(const std::uint32_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
inline Words broadcast_words(std::uint32_t x) { return {_mm256_set1_epi32(static_cast<int>(x))}; }
inline Words add(Words a, Words b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline Words bit_xor(Words a, Words b) { return {_mm256_xor_si256(a.v, b.v)}; }
template <int bits>
inline Words shift_left(Words a) {
  return {_mm256_slli_epi32(a.v, bits)};
}
inline WordPair multiply(Words a, Words b) {
  const __m256i even = _mm256_mul_epu32(a.v, b.v);
  const __m256i odd = _mm256_mul_epu32(_mm256_shuffle_epi32(a.v, 0xF5), _mm256_shuffle_epi32(b.v, 0xF5));
  return {{_mm256_blend_epi32(_mm256_shuffle_epi32(even, 0xF5), odd, 0xAA)},
          {_mm256_blend_epi32(even, _mm256_shuffle_epi32(odd, 0xA0), 0xAA)}};
}
inline Floats value_at_least(Words w, Words t, Floats x) {
  const __m256i kept = _mm256_cmpeq_epi32(_mm256_max_epu32(w.v, t.v), w.v);
  return {_mm256_and_ps(_mm256_castsi256_ps(kept), x.v)};
}
inline unsigned greater(Floats a, Floats b) {
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)));
}
inline Floats load_first(const float* p, int n, Floats rest) {
  const __m256i lanes = first_lanes(n);
  return {_mm256_blendv_ps(rest.v, _mm256_maskload_ps(p, lanes), _mm256_castsi256_ps(lanes))};
}
inline Floats first(Floats a, int n) { return {_mm256_and_ps(a.v, _mm256_castsi256_ps(first_lanes(n)))}; }
inline Floats select_greater(Floats a, Floats b, Floats x, Floats y) {
  return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ))};
}

}  // namespace fovea::kernels::cpu::avx2
FOVEA_TARGET_END

FOVEA_TARGET_AVX512
namespace fovea::kernels::cpu::avx512 {

inline constexpr int width = 16;
inline constexpr int registers = 32;
struct Floats {
  __m512 v;
};

inline __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
inline Floats load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline Floats load_first(const float* p, int n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
inline void store(float* p, Floats a) { _mm512_storeu_ps(p, a.v); }
inline void store_first(float* p, Floats a, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), a.v); }
inline Floats broadcast(float x) { return {_mm512_set1_ps(x)}; }
inline Floats zero() { return {_mm512_setzero_ps()}; }
inline Floats add(Floats a, Floats b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Floats sub(Floats a, Floats b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Floats mul(Floats a, Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Floats div(Floats a, Floats b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Floats min(Floats a, Floats b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Floats max(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Floats fma(Floats a, Floats b, Floats c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline void add_product(Floats& sum, Floats a, Floats b) { sum = fma(a, b, sum); }
inline Floats fnma(Floats a, Floats b, Floats c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
inline Floats sqrt(Floats a) { return {_mm512_sqrt_ps(a.v)}; }
inline Floats round(Floats a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline Floats scale_by_power(Floats y, Floats n) { return {_mm512_scalef_ps(y.v, n.v)}; }
inline Floats zero_below(Floats y, Floats v, float bound) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(v.v, _mm512_set1_ps(bound), _CMP_NLT_UQ), y.v)};
}
inline Floats where_below(Floats v, float bound, Floats yes, Floats no) {
  return {_mm512_mask_mov_ps(no.v, _mm512_cmp_ps_mask(v.v, _mm512_set1_ps(bound), _CMP_LT_OQ), yes.v)};
}
// Rows r, r + 4, r + 8, r + 12 exchange their 128-bit lanes, then each lane is a 4x4 transpose. Every row is
// read whole and once: rows that lie 4096 bytes apart compete for the same lines of the first cache.
inline void transpose_square(const float* from, std::int64_t from_stride, float* to, std::int64_t to_stride) {
  __m512 lanes[4][4];
  for (int r = 0; r < 4; ++r) {
    const float* p = from + r * from_stride;
    const __m512 a = _mm512_loadu_ps(p), b = _mm512_loadu_ps(p + 4 * from_stride);
    const __m512 c = _mm512_loadu_ps(p + 8 * from_stride), d = _mm512_loadu_ps(p + 12 * from_stride);
    const __m512 ab_low = _mm512_shuffle_f32x4(a, b, 0x44), ab_high = _mm512_shuffle_f32x4(a, b, 0xee);
    const __m512 cd_low = _mm512_shuffle_f32x4(c, d, 0x44), cd_high = _mm512_shuffle_f32x4(c, d, 0xee);
    lanes[0][r] = _mm512_shuffle_f32x4(ab_low, cd_low, 0x88);
    lanes[1][r] = _mm512_shuffle_f32x4(ab_low, cd_low, 0xdd);
    lanes[2][r] = _mm512_shuffle_f32x4(ab_high, cd_high, 0x88);
    lanes[3][r] = _mm512_shuffle_f32x4(ab_high, cd_high, 0xdd);
  }
  for (int group = 0; group < 4; ++group) {
    const __m512* row = lanes[group];
    const __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(row[0], row[1]));
    const __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(row[2], row[3]));
    const __m512d high01 = _mm512_castps_pd(_mm512_unpackhi_ps(row[0], row[1]));
    const __m512d high23 = _mm512_castps_pd(_mm512_unpackhi_ps(row[2], row[3]));
    float* out = to + 4 * group * to_stride;
    _mm512_storeu_ps(out, _mm512_castpd_ps(_mm512_unpacklo_pd(low01, low23)));
    _mm512_storeu_ps(out + to_stride, _mm512_castpd_ps(_mm512_unpackhi_pd(low01, low23)));
    _mm512_storeu_ps(out + 2 * to_stride, _mm512_castpd_ps(_mm512_unpacklo_pd(high01, high23)));
    _mm512_storeu_ps(out + 3 * to_stride, _mm512_castpd_ps(_mm512_unpackhi_pd(high01, high23)));
  }
}
inline float sum(Floats a) { return _mm512_reduce_add_ps(a.v); }
inline float max_of(Floats a) { return _mm512_reduce_max_ps(a.v); }
inline Floats exp(Floats v) { FOVEA_EXP_BODY; }

struct Words {
  __m512i v;
};
struct WordPair {
  Words high, low;
};
inline Words load_words(const std::uint32_t* p) { return {_mm512_loadu_si512(p)}; }
inline Words broadcast_words(std::uint32_t x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
inline Words add(Words a, Words b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline Words bit_xor(Words a, Words b) { return {_mm512_xor_si512(a.v, b.v)}; }
template <int bits>
inline Words shift_left(Words a) {
  return {_mm512_slli_epi32(a.v, bits)};
}
inline WordPair multiply(Words a, Words b) {
  const __m512i even = _mm512_mul_epu32(a.v, b.v);
  const __m512i odd =
      _mm512_mul_epu32(_mm512_shuffle_epi32(a.v, _MM_PERM_DDBB), _mm512_shuffle_epi32(b.v, _MM_PERM_DDBB));
  return {{_mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB)},
          {_mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA)}};
}
inline Floats value_at_least(Words w, Words t, Floats x) {
  return {_mm512_maskz_mov_ps(_mm512_cmpge_epu32_mask(w.v, t.v), x.v)};
}
inline unsigned greater(Floats a, Floats b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ); }
inline Floats load_first(const float* p, int n, Floats rest) {
  return {_mm512_mask_loadu_ps(rest.v, first_lanes(n), p)};
}
inline Floats first(Floats a, int n) { return {_mm512_maskz_mov_ps(first_lanes(n), a.v)}; }
inline Floats select_greater(Floats a, Floats b, Floats x, Floats y) {
  return {_mm512_mask_mov_ps(y.v, _mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ), x.v)};
}

}  // namespace fovea::kernels::cpu::avx512
FOVEA_TARGET_END

#undef FOVEA_EXP_BODY
