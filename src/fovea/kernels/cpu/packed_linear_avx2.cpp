// Sums of 8-bit integers for processors without a byte dot product. vpmaddubsw would saturate at 255 * 127 *
// 2, so bytes are widened to words first, and vpmaddwd adds pairs of products exactly.

#include <immintrin.h>

#include "fovea/kernels/cpu/packed_linear.h"
#include "fovea/kernels/cpu/simd.h"

FOVEA_TARGET_AVX2
namespace fovea::kernels::cpu::avx2 {
namespace {

// 16 columns of `rows` rows: a vector of sums has 4 columns, a lane for each half of a step.
template <int rows>
inline void integer_sums(const LinearTile& t, int row, std::int64_t column) {
  const std::byte* w = t.w + column * linear_step_bytes;
  const std::byte* x = t.x + row * t.x_stride;
  __m256i sum[rows][4];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < 4; ++v) sum[r][v] = _mm256_setzero_si256();
  for (std::int64_t step = 0; step < t.steps; ++step, w += linear_panel * linear_step_bytes) {
    __m256i words[rows];
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const auto* four = reinterpret_cast<const std::int32_t*>(x + r * t.x_stride) + step;
      words[r] = _mm256_cvtepi8_epi16(_mm_set1_epi32(*four));
    }
#pragma GCC unroll 8
    for (int v = 0; v < 4; ++v) {
      const __m256i b = _mm256_cvtepu8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(w) + v));
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) sum[r][v] = _mm256_add_epi32(sum[r][v], _mm256_madd_epi16(b, words[r]));
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    const __m256i start = _mm256_set1_epi32(t.state[row + r].start);
    float* to = t.sums + (row + r) * linear_panel + column;
#pragma GCC unroll 8
    for (int v = 0; v < 4; v += 2) {
      const __m256i halves = _mm256_hadd_epi32(sum[r][v], sum[r][v + 1]);
      const __m256i in_order = _mm256_permute4x64_epi64(halves, _MM_SHUFFLE(3, 1, 2, 0));
      _mm256_storeu_ps(to + 4 * v, _mm256_cvtepi32_ps(_mm256_add_epi32(in_order, start)));
    }
  }
}

}  // namespace

void linear_tile_integers(int rows, int groups, const LinearTile& t) {
  for (int group = 0; group < groups; ++group) {
    int row = 0;
    for (; row + 2 <= rows; row += 2) integer_sums<2>(t, row, group * linear_lanes);
    if (row < rows) integer_sums<1>(t, row, group * linear_lanes);
  }
}

}  // namespace fovea::kernels::cpu::avx2
FOVEA_TARGET_END
