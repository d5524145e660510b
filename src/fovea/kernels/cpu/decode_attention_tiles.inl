// Products of query rows with tiles of keys and values in f32; tiles of bf16 and i8 are widened first.
// Included by decode_attention.inl.

inline constexpr int tile_vectors = 16 / width;
// Keys are added up in two chains, so that additions need not wait for one another, where registers allow.
inline constexpr int chains = registers >= 32 ? 2 : 1;
inline constexpr int decode_rows = registers >= 32 ? 8 : registers >= 16 ? 4 : 2;

// scores[r][0..16) = q[r] . key, keys [count][16].
template <int R>
void score_tile(const float* keys, std::int64_t count, const float* q, std::int64_t q_stride, float* scores) {
  Floats sums[chains][R][tile_vectors];
  FOVEA_UNROLL for (int c = 0; c < chains; ++c) {
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) sums[c][r][v] = zero();
    }
  }
  const auto add_row = [&](std::int64_t d, int c) __attribute__((always_inline)) {
    FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) {
      const Floats key = load(keys + d * 16 + v * width);
      FOVEA_UNROLL for (int r = 0; r < R; ++r) sums[c][r][v] =
          fma(broadcast(q[r * q_stride + d]), key, sums[c][r][v]);
    }
  };
  std::int64_t d = 0;
  for (; d + chains <= count; d += chains) {
    FOVEA_UNROLL for (int c = 0; c < chains; ++c) add_row(d + c, c);
  }
  if (d < count) add_row(d, 0);
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) {
      Floats sum = sums[0][r][v];
      if constexpr (chains == 2) sum = add(sum, sums[chains - 1][r][v]);
      store(scores + r * block_slots + v * width, sum);
    }
  }
}

// out[r][:] += sum_j weights[r][j] value[j], values [columns/16][16 slots][16].
template <int R>
void mix_tile(const float* values, std::int64_t columns, const float* weights, float* out) {
  for (std::int64_t e = 0; e < columns; e += 16, values += 256) {
    Floats sums[R][tile_vectors];
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) sums[r][v] =
          load(out + r * columns + e + v * width);
    }
    for (int j = 0; j < 16; ++j) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v) {
        const Floats value = load(values + j * 16 + v * width);
        FOVEA_UNROLL for (int r = 0; r < R; ++r) sums[r][v] =
            fma(broadcast(weights[r * block_slots + j]), value, sums[r][v]);
      }
    }
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < tile_vectors; ++v)
          store(out + r * columns + e + v * width, sums[r][v]);
    }
  }
}

using ScoreTile = void (*)(const float*, std::int64_t, const float*, std::int64_t, float*);
using MixTile = void (*)(const float*, std::int64_t, const float*, float*);

template <int R>
constexpr int at_most = R < decode_rows ? R : decode_rows;

inline ScoreTile score_tile_of(int rows) {
  constexpr ScoreTile table[] = {&score_tile<1>,          &score_tile<2>,          &score_tile<at_most<3>>,
                                 &score_tile<at_most<4>>, &score_tile<at_most<5>>, &score_tile<at_most<6>>,
                                 &score_tile<at_most<7>>, &score_tile<at_most<8>>};
  return table[rows - 1];
}
inline MixTile mix_tile_of(int rows) {
  constexpr MixTile table[] = {&mix_tile<1>,          &mix_tile<2>,          &mix_tile<at_most<3>>,
                               &mix_tile<at_most<4>>, &mix_tile<at_most<5>>, &mix_tile<at_most<6>>,
                               &mix_tile<at_most<7>>, &mix_tile<at_most<8>>};
  return table[rows - 1];
}

inline void prepare_f32(const CacheLayout& layout, const float* q, std::byte* to, float* factor) {
  auto* const row = reinterpret_cast<float*>(to);
  std::copy_n(q, layout.key_width, row);
  std::fill(row + layout.key_width, row + layout.key_rows(), 0.0f);
  *factor = 1.0f;
}

inline void scores_f32(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count,
                       const std::byte* q, int rows, float* scores, float*) {
  const ScoreTile score = score_tile_of(rows);
  for (std::int64_t i = 0; i < count; ++i)
    score(reinterpret_cast<const float*>(tiles[i]), layout.key_rows(), reinterpret_cast<const float*>(q),
          prepared_bytes(layout) / 4, scores + i * 16);
}

inline void mix_f32(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count,
                    float* weights, int rows, float* out, float*) {
  const MixTile mix = mix_tile_of(rows);
  for (std::int64_t i = 0; i < count; ++i)
    mix(reinterpret_cast<const float*>(tiles[i]), layout.value_columns(), weights + i * 16, out);
}

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
