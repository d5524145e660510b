// Tiles of bf16 and i8 multiplied in pairs of 16 bits: vdpbf16ps (32 products of bf16 into f32) and vpdpwssd
// (32 exact products of 16-bit integers into 32-bit ones; a cache's 8-bit integers are widened on the way).

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "fovea/kernels/cpu/attention_simd.h"
#include "fovea/kernels/cpu/decode_attention_plan.h"
#include "fovea/kernels/cpu/targets.h"

FOVEA_TARGET_DOT16

namespace fovea::kernels::cpu::avx512_dot16 {
namespace {

inline __m512i pair_at(const void* pairs, std::int64_t i) {
  return _mm512_set1_epi32(static_cast<const std::int32_t*>(pairs)[i]);
}
inline __m512 dot(__m512 sum, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
// sum += the products of a's and b's pairs of words. Not by intrinsic: GCC 12 copies the sum there and back.
inline __m512i dot_words(__m512i sum, __m512i a, __m512i b) {
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
}
inline __m512i widened(const std::byte* p) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

inline bool all_finite(__m512 x) {
  const __m512 most = _mm512_set1_ps(std::numeric_limits<float>::max());
  return _mm512_cmp_ps_mask(_mm512_abs_ps(x), most, _CMP_NLE_UQ) == 0;
}

// --- bf16

// Calls body(d, x) with 16 elements of a query at a time, zeros after the last.
template <class Body>
inline void for_query(const CacheLayout& layout, const float* q, const Body& body) {
  for (std::int64_t d = 0; d < layout.key_rows(); d += 16) {
    const std::int64_t left = std::clamp<std::int64_t>(layout.key_width - d, 0, 16);
    body(d, _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << left) - 1u), q + d));
  }
}

void prepare_bf16(const CacheLayout& layout, const float* q, std::byte* to, float* factor) {
  for_query(layout, q, [&](std::int64_t d, __m512 x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + d * 2), (__m256i)_mm512_cvtneps_pbh(x));
  });
  *factor = 1.0f;
}

// Sums of R rows in two chains, so that additions need not wait for one another.
template <int R>
void score_bf16(const std::byte* keys, const std::byte* next, std::int64_t pairs, const std::byte* q,
                std::int64_t q_bytes, float* scores) {
  __m512 sums[2][R];
  FOVEA_UNROLL for (int r = 0; r < R; ++r) sums[0][r] = sums[1][r] = _mm512_setzero_ps();
  std::int64_t d = 0;
  for (; d + 2 <= pairs; d += 2) {
    FOVEA_UNROLL for (int c = 0; c < 2; ++c) {
      fetch_line_from<R, 3>(next, d + c);
      const __m512i key = _mm512_loadu_si512(keys + (d + c) * 64);
      FOVEA_UNROLL for (int r = 0; r < R; ++r) sums[c][r] =
          dot(sums[c][r], key, pair_at(q + r * q_bytes, d + c));
    }
  }
  if (d < pairs) {
    const __m512i key = _mm512_loadu_si512(keys + d * 64);
    FOVEA_UNROLL for (int r = 0; r < R; ++r) sums[0][r] = dot(sums[0][r], key, pair_at(q + r * q_bytes, d));
  }
  FOVEA_UNROLL for (int r = 0; r < R; ++r)
      _mm512_storeu_ps(scores + r * block_slots, _mm512_add_ps(sums[0][r], sums[1][r]));
}

template <int R>
void scores_bf16_rows(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count,
                      const std::byte* q, float* scores) {
  for (std::int64_t i = 0; i < count; ++i) {
    score_bf16<R>(tiles[i], tiles[i + bf16_ahead], layout.key_rows() / 2, q, prepared_bytes(layout),
                  scores + i * 16);
  }
}

// Weights [rows][block_slots] become pairs of bf16 in the first half of each row.
void pair_weights(float* weights, int rows, std::int64_t count) {
  for (int r = 0; r < rows; ++r) {
    float* const row = weights + r * block_slots;
    for (std::int64_t i = 0; i < count; ++i)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(row) + i,
                          (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(row + i * 16)));
  }
}

template <int R>
void mix_bf16(const std::byte* values, const std::byte* next, std::int64_t columns, const float* weights,
              float* out) {
  for (std::int64_t e = 0; e < columns; e += 16, values += 512, next += 512) {
    __m512 sums[2][R];
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      sums[0][r] = _mm512_loadu_ps(out + r * columns + e);
      sums[1][r] = _mm512_setzero_ps();
    }
    FOVEA_UNROLL for (int j = 0; j < 8; ++j) {
      fetch_line_from<R, 3>(next, j);
      const __m512i value = _mm512_loadu_si512(values + j * 64);
      FOVEA_UNROLL for (int r = 0; r < R; ++r) sums[j % 2][r] =
          dot(sums[j % 2][r], value, pair_at(weights + r * block_slots, j));
    }
    FOVEA_UNROLL for (int r = 0; r < R; ++r)
        _mm512_storeu_ps(out + r * columns + e, _mm512_add_ps(sums[0][r], sums[1][r]));
  }
}

template <int R>
void mix_bf16_rows(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count,
                   float* weights, float* out) {
  pair_weights(weights, R, count);
  for (std::int64_t i = 0; i < count; ++i) {
    mix_bf16<R>(tiles[i], tiles[i + bf16_ahead], layout.value_columns(), weights + i * 8, out);
  }
}

// --- i8

// The largest magnitude of a query as a 16-bit integer, so that a sum of E products with 127 fits in 32 bits.
float most_query(const CacheLayout& layout) {
  return static_cast<float>(std::min<std::int64_t>(32767, 2'147'483'647 / (127 * layout.key_rows())));
}

void prepare_i8(const CacheLayout& layout, const float* q, std::byte* to, float* factor) {
  __m512 largest = _mm512_setzero_ps();
  bool finite = true;
  for_query(layout, q, [&](std::int64_t, __m512 x) {
    largest = _mm512_max_ps(_mm512_abs_ps(x), largest);
    finite &= all_finite(x);
  });
  const float top = _mm512_reduce_max_ps(largest), most = most_query(layout);
  const __m512 scale = _mm512_set1_ps(finite && top / most > 0.0f ? most / top : 0.0f);
  for_query(layout, q, [&](std::int64_t d, __m512 x) {
    const __m512i words = finite ? _mm512_cvtps_epi32(_mm512_mul_ps(x, scale)) : _mm512_setzero_si512();
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + d * 2), _mm512_cvtsepi32_epi16(words));
  });
  *factor = finite ? top / most : std::numeric_limits<float>::quiet_NaN();
}

// sums[r] += key * pair of row r
template <int R>
FOVEA_INLINE void add_products(__m512i* sums, __m512i x, const void* pairs, std::int64_t row_bytes,
                               std::int64_t i) {
  FOVEA_UNROLL for (int r = 0; r < R; ++r) sums[r] =
      dot_words(sums[r], x, pair_at(static_cast<const std::byte*>(pairs) + r * row_bytes, i));
}

template <int R>
void scores_i8_rows(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count,
                    const std::byte* q, float* scores) {
  const std::int64_t pairs = layout.key_rows() / 2, q_bytes = prepared_bytes(layout);
  for (std::int64_t i = 0; i < count; ++i) {
    // Scales of values are read before the values, one line of every tile: no run that is foreseen.
    fetch_line(tiles[i + count], 0);
    const __m512 scales = _mm512_loadu_ps(tiles[i]);
    const std::byte* const keys = tiles[i] + 64;
    __m512i sums[2][R];
    FOVEA_UNROLL for (int r = 0; r < R; ++r) sums[0][r] = sums[1][r] = _mm512_setzero_si512();
    std::int64_t d = 0;
    for (; d + 2 <= pairs; d += 2) {
      fetch_line(tiles[i + i8_ahead] + CacheLayout::scale_bytes, d / 2);
      add_products<R>(sums[0], widened(keys + d * 32), q, q_bytes, d);
      add_products<R>(sums[1], widened(keys + d * 32 + 32), q, q_bytes, d + 1);
    }
    if (d < pairs) add_products<R>(sums[0], widened(keys + d * 32), q, q_bytes, d);
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      const __m512 sum = _mm512_cvtepi32_ps(_mm512_add_epi32(sums[0][r], sums[1][r]));
      _mm512_storeu_ps(scores + r * block_slots + i * 16, _mm512_mul_ps(sum, scales));
    }
  }
}

// weight * scale of the slot's values, relative to the block's largest, as 16-bit integers in the first half
// of the row. Returns what an integer is worth; NaN if one of them is not finite.
float round_weights(float* row, const std::byte* const* tiles, std::int64_t count) {
  __m512 largest = _mm512_setzero_ps();
  bool finite = true;
  for (std::int64_t i = 0; i < count; ++i) {
    const __m512 x = _mm512_mul_ps(_mm512_loadu_ps(row + i * 16), _mm512_loadu_ps(tiles[i]));
    _mm512_storeu_ps(row + i * 16, x);
    largest = _mm512_max_ps(x, largest);
    finite &= all_finite(x);
  }
  if (!finite) return std::numeric_limits<float>::quiet_NaN();
  const float top = _mm512_reduce_max_ps(largest), worth = top / 32767.0f;
  const __m512 factor = _mm512_set1_ps(worth > 0.0f ? 32767.0f / top : 0.0f);
  for (std::int64_t i = 0; i < count; ++i) {
    const __m512i words = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(row + i * 16), factor));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row) + i, _mm512_cvtsepi32_epi16(words));
  }
  return worth;
}

template <int R>
void mix_i8_rows(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count, float* weights,
                 float* out) {
  float worth[R];
  for (int r = 0; r < R; ++r) worth[r] = round_weights(weights + r * block_slots, tiles, count);
  const std::int64_t columns = layout.value_columns(), row_bytes = block_slots * sizeof(float);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::byte* values = tiles[i] + 64;
    for (std::int64_t e = 0; e < columns; e += 16, values += 256) {
      __m512i sums[2][R];
      FOVEA_UNROLL for (int r = 0; r < R; ++r) sums[0][r] = sums[1][r] = _mm512_setzero_si512();
      FOVEA_UNROLL for (int j = 0; j < 8; j += 2) {
        fetch_line(tiles[i + i8_ahead] + CacheLayout::scale_bytes + e * 16, j / 2);
        add_products<R>(sums[0], widened(values + j * 32), weights, row_bytes, i * 8 + j);
        add_products<R>(sums[1], widened(values + j * 32 + 32), weights, row_bytes, i * 8 + j + 1);
      }
      FOVEA_UNROLL for (int r = 0; r < R; ++r) {
        float* const to = out + r * columns + e;
        const __m512 sum = _mm512_cvtepi32_ps(_mm512_add_epi32(sums[0][r], sums[1][r]));
        _mm512_storeu_ps(to, _mm512_fmadd_ps(sum, _mm512_set1_ps(worth[r]), _mm512_loadu_ps(to)));
      }
    }
  }
}

// --- by the number of rows

using Scores = void (*)(const CacheLayout&, const std::byte* const*, std::int64_t, const std::byte*, float*);
using Mix = void (*)(const CacheLayout&, const std::byte* const*, std::int64_t, float*, float*);

#define FOVEA_FOR_ROWS(function)                                                                      \
  {                                                                                                   \
    &function<1>, &function<2>, &function<3>, &function<4>, &function<5>, &function<6>, &function<7>, \
        &function<8>                                                                                  \
  }
constexpr Scores bf16_scores[] = FOVEA_FOR_ROWS(scores_bf16_rows),
                 i8_scores[] = FOVEA_FOR_ROWS(scores_i8_rows);
constexpr Mix bf16_mixes[] = FOVEA_FOR_ROWS(mix_bf16_rows), i8_mixes[] = FOVEA_FOR_ROWS(mix_i8_rows);
#undef FOVEA_FOR_ROWS

template <const Scores* table>
void scores_by_rows(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count,
                    const std::byte* q, int rows, float* scores, float*) {
  table[rows - 1](layout, tiles, count, q, scores);
}
template <const Mix* table>
void mix_by_rows(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count, float* weights,
                 int rows, float* out, float*) {
  table[rows - 1](layout, tiles, count, weights, out);
}

}  // namespace

const DecodeTiles bf16_tiles{8, &prepare_bf16, &scores_by_rows<bf16_scores>, &mix_by_rows<bf16_mixes>};
const DecodeTiles i8_tiles{8, &prepare_i8, &scores_by_rows<i8_scores>, &mix_by_rows<i8_mixes>};

}  // namespace fovea::kernels::cpu::avx512_dot16

FOVEA_TARGET_END
