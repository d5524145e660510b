// Sums of 8-bit integers for processors without a byte dot product. vpmaddubsw would saturate at 255 * 127 *
// 2, so bytes become words first, and vpmaddwd adds pairs of products exactly. Bytes 0 and 2 of each four are
// words when the others are masked away, bytes 1 and 3 when they are shifted out: one instruction a vector
// each, and sums stay in their columns. Rows of x are made ready as words in that order: 0, 2, 1, 3.

#include <immintrin.h>

#include "fovea/kernels/cpu/packed_linear.h"
#include "fovea/kernels/cpu/simd.h"
#include "fovea/kernels/quantise_row.h"

FOVEA_TARGET_AVX2
namespace fovea::kernels::cpu::avx2 {
namespace {

constexpr std::int64_t words_step = 8;  // bytes of a step of x: four words
constexpr int lanes = 8;                // columns of a vector of sums

// Not by intrinsic: GCC 12 adds in another order, for which it has too few registers.
inline void add(__m256i& sum, __m256i products) { asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(products)); }

// sum += the products of two bytes of each four, which are the words of `bytes`.
template <int rows, int vectors>
inline void add_products(__m256i (&sum)[rows][vectors], const __m256i (&bytes)[vectors], const std::byte* x,
                         std::int64_t x_stride) {
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    const __m256i pair = _mm256_set1_epi32(*reinterpret_cast<const std::int32_t*>(x + r * x_stride));
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) add(sum[r][v], _mm256_madd_epi16(bytes[v], pair));
  }
}

template <int rows, int vectors>
void integer_sums(const LinearTile& t, std::int64_t column, LinearAhead ahead) {
  const auto* w = reinterpret_cast<const __m256i*>(t.w + column * linear_step_bytes);
  const std::byte* x = t.x;
  const __m256i lower = _mm256_set1_epi16(0x00ff);
  __m256i sum[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) sum[r][v] = _mm256_set1_epi32(t.state[r].start);
  for (std::int64_t step = 0; step < t.steps; ++step, w += linear_panel / lanes, x += words_step) {
    __m256i bytes[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) bytes[v] = _mm256_and_si256(_mm256_load_si256(w + v), lower);
    add_products<rows, vectors>(sum, bytes, x, t.x_stride);
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) bytes[v] = _mm256_srli_epi16(_mm256_load_si256(w + v), 8);
    add_products<rows, vectors>(sum, bytes, x + words_step / 2, t.x_stride);
    fetch_ahead<vectors / 2>(ahead);
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v)
      _mm256_storeu_ps(t.sums + r * linear_panel + column + lanes * v, _mm256_cvtepi32_ps(sum[r][v]));
}

template <int rows>
void integer_tile(int groups, const LinearTile& t) {
  constexpr int together = linear_groups_at_once(rows);
  int group = 0;
  for (; group + together <= groups; group += together)
    integer_sums<rows, 2 * together>(t, group * linear_lanes, ahead_of(t, group, together));
  for (; group < groups; ++group) integer_sums<rows, 2>(t, group * linear_lanes, ahead_of(t, group, 1));
}

}  // namespace

LinearRowState linear_prepare_words(const float* x, std::int64_t K, std::byte* to) {
  // The integers lie in the second half of the room first, and become words from the front.
  const std::int64_t steps = linear_steps(DType::i8, K);
  auto* q = reinterpret_cast<std::int8_t*>(to + steps * (words_step - linear_step_bytes));
  const QuantisedRow row = quantise_row(x, K, q);
  for (std::int64_t k = K; k % linear_step_bytes; ++k) q[k] = 0;
  const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
  std::int64_t step = 0;
  for (; step + 4 <= steps; step += 4) {
    const __m128i integers = _mm_loadu_si128(reinterpret_cast<const __m128i*>(q + step * linear_step_bytes));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + step * words_step),
                        _mm256_cvtepi8_epi16(_mm_shuffle_epi8(integers, order)));
  }
  for (; step < steps; ++step) {
    const __m128i integers = _mm_loadu_si32(q + step * linear_step_bytes);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + step * words_step),
                     _mm_cvtepi8_epi16(_mm_shuffle_epi8(integers, order)));
  }
  return {row.scale, -128 * row.sum};
}

void linear_tile_integers(int rows, int groups, const LinearTile& t) {
  constexpr void (*tiles[linear_tile_rows])(int, const LinearTile&) = {&integer_tile<1>, &integer_tile<2>,
                                                                       &integer_tile<3>, &integer_tile<4>,
                                                                       &integer_tile<5>, &integer_tile<6>};
  tiles[rows - 1](groups, t);
}

}  // namespace fovea::kernels::cpu::avx2
FOVEA_TARGET_END
