// Products of query rows with tiles of keys and values in f32; tiles of bf16 and i8 are widened first.
// Included by decode_attention.inl.

inline constexpr int tile_vectors = 16 / width;
// Sums go in two chains, so that additions need not wait for one another, where registers allow.
inline constexpr int chains = registers >= 32 ? 2 : 1;
inline constexpr int decode_rows = registers >= 32 ? 8 : registers >= 16 ? 4 : 2;

// R rows of sums over 16 lanes.
template <int R>
struct Sums {
  Floats sum[chains][R][tile_vectors];

  FOVEA_INLINE void clear(int chain) {
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) sum[chain][r][v] = zero();
    }
  }
  // sum[r] += factors[r * stride] * x[0..16)
  FOVEA_INLINE void add_row(int chain, const float* factors, std::int64_t stride, const float* x) {
    FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) {
      const Floats row = load(x + v * width);
      FOVEA_UNROLL for (int r = 0; r < R; ++r) sum[chain][r][v] =
          fma(broadcast(factors[r * stride]), row, sum[chain][r][v]);
    }
  }
  FOVEA_INLINE Floats total(int r, int v) const {
    if constexpr (chains == 2) return add(sum[0][r][v], sum[1][r][v]);
    return sum[0][r][v];
  }
};

// scores[r][0..16) = q[r] . key, keys [count][16].
template <int R>
void score_tile(const float* keys, const std::byte* next, std::int64_t count, const float* q,
                std::int64_t q_stride, float* scores) {
  Sums<R> sums;
  FOVEA_UNROLL for (int c = 0; c < chains; ++c) sums.clear(c);
  std::int64_t d = 0;
  for (; d + chains <= count; d += chains) {
    FOVEA_UNROLL for (int c = 0; c < chains; ++c) fetch_line_from<R, 5>(next, d + c);
    FOVEA_UNROLL for (int c = 0; c < chains; ++c) sums.add_row(c, q + d + c, q_stride, keys + (d + c) * 16);
  }
  if (d < count) sums.add_row(0, q + d, q_stride, keys + d * 16);
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v)
        store(scores + r * block_slots + v * width, sums.total(r, v));
  }
}

// out[r][:] += sum_j weights[r][j] value[j], values [columns/16][16 slots][16].
template <int R>
void mix_tile(const float* values, const std::byte* next, std::int64_t columns, const float* weights,
              float* out) {
  for (std::int64_t e = 0; e < columns; e += 16, values += 256, next += 16 * 64) {
    Sums<R> sums;
    FOVEA_UNROLL for (int c = 1; c < chains; ++c) sums.clear(c);
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) sums.sum[0][r][v] =
          load(out + r * columns + e + v * width);
    }
    for (int j = 0; j < 16; j += chains) {
      FOVEA_UNROLL for (int c = 0; c < chains; ++c) fetch_line_from<R, 5>(next, j + c);
      FOVEA_UNROLL for (int c = 0; c < chains; ++c)
          sums.add_row(c, weights + j + c, block_slots, values + (j + c) * 16);
    }
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v)
          store(out + r * columns + e + v * width, sums.total(r, v));
    }
  }
}

template <int R>
void score_rows(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count, const float* q,
                float* scores) {
  for (std::int64_t i = 0; i < count; ++i) {
    score_tile<R>(reinterpret_cast<const float*>(tiles[i]), tiles[i + f32_ahead], layout.key_rows(), q,
                  prepared_bytes(layout) / 4, scores + i * 16);
  }
}

template <int R>
void mix_rows(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count,
              const float* weights, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    mix_tile<R>(reinterpret_cast<const float*>(tiles[i]), tiles[i + f32_ahead], layout.value_columns(),
                weights + i * 16, out);
  }
}

template <int R>
constexpr int at_most = R < decode_rows ? R : decode_rows;
#define FOVEA_FOR_ROWS(function)                                                                   \
  {                                                                                                \
    &function<1>, &function<at_most<2>>, &function<at_most<3>>, &function<at_most<4>>,             \
        &function<at_most<5>>, &function<at_most<6>>, &function<at_most<7>>, &function<at_most<8>> \
  }

inline void prepare_f32(const CacheLayout& layout, const float* q, std::byte* to, float* factor) {
  auto* const row = reinterpret_cast<float*>(to);
  std::copy_n(q, layout.key_width, row);
  std::fill(row + layout.key_width, row + layout.key_rows(), 0.0f);
  *factor = 1.0f;
}

inline void scores_f32(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count,
                       const std::byte* q, int rows, float* scores, float*) {
  using Function = void (*)(const CacheLayout&, const std::byte* const*, std::int64_t, const float*, float*);
  static constexpr Function by_rows[] = FOVEA_FOR_ROWS(score_rows);
  by_rows[rows - 1](layout, tiles, count, reinterpret_cast<const float*>(q), scores);
}

inline void mix_f32(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count,
                    float* weights, int rows, float* out, float*) {
  using Function = void (*)(const CacheLayout&, const std::byte* const*, std::int64_t, const float*, float*);
  static constexpr Function by_rows[] = FOVEA_FOR_ROWS(mix_rows);
  by_rows[rows - 1](layout, tiles, count, weights, out);
}
#undef FOVEA_FOR_ROWS

// Rows of 16 pairs become two rows of 16 each.
inline void widen_bf16(const std::byte* tile, std::int64_t rows, float* to) {
  for (std::int64_t row = 0; row < rows; row += 2) {
    std::uint32_t pairs[16], even[16], odd[16];
    std::memcpy(pairs, tile + row * 32, sizeof(pairs));
    for (int i = 0; i < 16; ++i) even[i] = pairs[i] << 16;
    for (int i = 0; i < 16; ++i) odd[i] = pairs[i] & 0xffff0000u;
    std::memcpy(to + row * 16, even, sizeof(even));
    std::memcpy(to + row * 16 + 16, odd, sizeof(odd));
  }
}

// Scales belong to lanes in a tile of keys, to rows (modulo 16) in a tile of values.
template <bool keys>
inline void widen_i8(const std::byte* tile, std::int64_t rows, float* to) {
  const auto* const scales = reinterpret_cast<const float*>(tile);
  const auto* const pairs = reinterpret_cast<const std::int8_t*>(tile + 64);
  for (std::int64_t row = 0; row < rows; ++row)
    for (int i = 0; i < 16; ++i)
      to[row * 16 + i] =
          scales[keys ? i : row % 16] * static_cast<float>(pairs[row / 2 * 32 + i * 2 + row % 2]);
}

template <DType dtype>
void scores_widened(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count,
                    const std::byte* q, int rows, float* scores, float* scratch) {
  const auto widen = dtype == DType::bf16 ? &widen_bf16 : &widen_i8<true>;
  std::array<const std::byte*, 1 + fetch_ahead> widened;
  widened.fill(reinterpret_cast<const std::byte*>(scratch));
  for (std::int64_t i = 0; i < count; ++i) {
    widen(tiles[i], layout.key_rows(), scratch);
    scores_f32(layout, widened.data(), 1, q, rows, scores + i * 16, nullptr);
  }
}

template <DType dtype>
void mix_widened(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count, float* weights,
                 int rows, float* out, float* scratch) {
  const auto widen = dtype == DType::bf16 ? &widen_bf16 : &widen_i8<false>;
  std::array<const std::byte*, 1 + fetch_ahead> widened;
  widened.fill(reinterpret_cast<const std::byte*>(scratch));
  for (std::int64_t i = 0; i < count; ++i) {
    widen(tiles[i], layout.value_columns(), scratch);
    mix_f32(layout, widened.data(), 1, weights + i * 16, rows, out, nullptr);
  }
}

inline constexpr DecodeTiles f32_tiles{decode_rows, &prepare_f32, &scores_f32, &mix_f32};
inline constexpr DecodeTiles widened_bf16_tiles{decode_rows, &prepare_f32, &scores_widened<DType::bf16>,
                                                &mix_widened<DType::bf16>};
inline constexpr DecodeTiles widened_i8_tiles{decode_rows, &prepare_f32, &scores_widened<DType::i8>,
                                              &mix_widened<DType::i8>};
