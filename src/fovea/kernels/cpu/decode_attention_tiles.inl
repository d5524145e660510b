// Products of query rows with tiles of keys and values in f32; tiles of bf16 and i8 are widened first.
// Included by decode_attention.inl.

inline constexpr int tile_vectors = 16 / width;
// Tiles of keys, or blocks of 16 columns, that one broadcast of a query or weight serves; and query rows at
// once. The sums of rows and tiles stay in registers.
inline constexpr int tiles_at_once = registers >= 32 ? 2 : 1;
inline constexpr int decode_rows = registers >= 32 ? 8 : registers >= 16 ? 4 : 2;

// scores[r][tile][0..16) = q[r] . key, tiles of keys [count][16].
template <int R, int tiles>
void score_tiles(const std::byte* const* tile, std::int64_t count, const float* q, std::int64_t q_stride,
                 float* scores) {
  const float* keys[tiles];
  Floats sums[tiles][R][tile_vectors];
  FOVEA_UNROLL for (int i = 0; i < tiles; ++i) {
    keys[i] = reinterpret_cast<const float*>(tile[i]);
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) sums[i][r][v] = zero();
    }
  }
  for (std::int64_t d = 0; d < count; ++d) {
    Floats key[tiles][tile_vectors];
    FOVEA_UNROLL for (int i = 0; i < tiles; ++i) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) key[i][v] = load(keys[i] + d * 16 + v * width);
    }
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      const Floats x = broadcast(q[r * q_stride + d]);
      FOVEA_UNROLL for (int i = 0; i < tiles; ++i) {
        FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) sums[i][r][v] = fma(x, key[i][v], sums[i][r][v]);
      }
    }
  }
  FOVEA_UNROLL for (int i = 0; i < tiles; ++i) {
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v)
          store(scores + r * block_slots + i * 16 + v * width, sums[i][r][v]);
    }
  }
}

template <int R>
void score_rows(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count, const float* q,
                float* scores) {
  const std::int64_t q_stride = prepared_bytes(layout) / 4;
  std::int64_t i = 0;
  for (; i + tiles_at_once <= count; i += tiles_at_once)
    score_tiles<R, tiles_at_once>(tiles + i, layout.key_rows(), q, q_stride, scores + i * 16);
  for (; i < count; ++i) score_tiles<R, 1>(tiles + i, layout.key_rows(), q, q_stride, scores + i * 16);
}

// out[r][:] += sum_j weights[r][j] value[j] for `blocks` blocks of 16 columns; values [blocks][16 slots][16].
template <int R, int blocks>
void mix_columns(const float* values, std::int64_t columns, const float* weights, float* out) {
  Floats sums[blocks][R][tile_vectors];
  FOVEA_UNROLL for (int i = 0; i < blocks; ++i) {
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) sums[i][r][v] =
          load(out + r * columns + i * 16 + v * width);
    }
  }
  for (int j = 0; j < 16; ++j) {
    Floats value[blocks][tile_vectors];
    FOVEA_UNROLL for (int i = 0; i < blocks; ++i) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) value[i][v] =
          load(values + i * 256 + j * 16 + v * width);
    }
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      const Floats x = broadcast(weights[r * block_slots + j]);
      FOVEA_UNROLL for (int i = 0; i < blocks; ++i) {
        FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) sums[i][r][v] =
            fma(x, value[i][v], sums[i][r][v]);
      }
    }
  }
  FOVEA_UNROLL for (int i = 0; i < blocks; ++i) {
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v)
          store(out + r * columns + i * 16 + v * width, sums[i][r][v]);
    }
  }
}

template <int R>
void mix_rows(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count,
              const float* weights, float* out) {
  const std::int64_t columns = layout.value_columns();
  for (std::int64_t i = 0; i < count; ++i, weights += 16) {
    const float* const values = reinterpret_cast<const float*>(tiles[i]);
    std::int64_t e = 0;
    for (; e + 16 * tiles_at_once <= columns; e += 16 * tiles_at_once)
      mix_columns<R, tiles_at_once>(values + e * 16, columns, weights, out + e);
    for (; e < columns; e += 16) mix_columns<R, 1>(values + e * 16, columns, weights, out + e);
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
  const std::byte* const widened = reinterpret_cast<const std::byte*>(scratch);
  for (std::int64_t i = 0; i < count; ++i) {
    widen(tiles[i], layout.key_rows(), scratch);
    scores_f32(layout, &widened, 1, q, rows, scores + i * 16, nullptr);
  }
}

template <DType dtype>
void mix_widened(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count, float* weights,
                 int rows, float* out, float* scratch) {
  const auto widen = dtype == DType::bf16 ? &widen_bf16 : &widen_i8<false>;
  const std::byte* const widened = reinterpret_cast<const std::byte*>(scratch);
  for (std::int64_t i = 0; i < count; ++i) {
    widen(tiles[i], layout.value_columns(), scratch);
    mix_f32(layout, &widened, 1, weights + i * 16, rows, out, nullptr);
  }
}

inline constexpr DecodeTiles f32_tiles{decode_rows, &prepare_f32, &scores_f32, &mix_f32};
inline constexpr DecodeTiles widened_bf16_tiles{decode_rows, &prepare_f32, &scores_widened<DType::bf16>,
                                                &mix_widened<DType::bf16>};
inline constexpr DecodeTiles widened_i8_tiles{decode_rows, &prepare_f32, &scores_widened<DType::i8>,
                                              &mix_widened<DType::i8>};
