// Tiles over a dot product of the processor's. Included by packed_linear_dot.cpp in a namespace and target each, where
//   Sum                 a vector of 16 sums, start_of(state), as_floats(sum)
//   dot(sum, w, x)      sum + the products of the elements of each 4 bytes

template <int rows, int groups>
void dot_tile(const LinearTile& t) {
  const std::byte* w = t.w;
  const std::byte* x = t.x;
  const std::int64_t x_stride = t.x_stride;
  const std::byte* ahead = t.ahead;
  const std::int64_t ahead_step = t.ahead_step;
  Sum sum[rows][groups];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int g = 0; g < groups; ++g) {
      sum[r][g] = start_of(t.state[r]);
      __builtin_prefetch(t.y + r * t.y_stride + g * linear_lanes, 1);
    }
  for (std::int64_t step = t.steps; step > 0; --step) {
    __m512i columns[groups];
#pragma GCC unroll 8
    for (int g = 0; g < groups; ++g) columns[g] = _mm512_load_si512(w + 64 * g);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const __m512i element = _mm512_set1_epi32(*reinterpret_cast<const std::int32_t*>(x + r * x_stride));
#pragma GCC unroll 8
      for (int g = 0; g < groups; ++g) dot(sum[r][g], columns[g], element);
    }
    w += linear_panel * linear_step_bytes;
    x += linear_step_bytes;
    if (rows >= 3) {  // fewer rows wait for W alone
      _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T1);
      _mm_prefetch(reinterpret_cast<const char*>(ahead + 64), _MM_HINT_T1);
      ahead += ahead_step;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int g = 0; g < groups; ++g) _mm512_storeu_ps(t.sums + r * linear_panel + g * linear_lanes, as_floats(sum[r][g]));
}

template <int... index>
constexpr auto dot_tiles(std::integer_sequence<int, index...>) {
  return std::array<void (*)(const LinearTile&), sizeof...(index)>{&dot_tile<index / 4 + 1, index % 4 + 1>...};
}
inline constexpr auto tiles = dot_tiles(std::make_integer_sequence<int, linear_tile_rows * 4>{});
