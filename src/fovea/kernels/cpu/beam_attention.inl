// Included once per instruction set: see for_each_isa.h.
// Up to four queries go over a sentence together. What a query's numbers are made of, and in which order, is the same
// however many there are: sums over dimensions and over keys each go in two chains, even and odd.

inline constexpr int beam_vectors = 16 / width;  // of a tile of keys

// scores[r][16 keys of a tile] = factor * q[r] . keys
template <int R>
inline void beam_scores(const float* keys, std::int64_t tiles, std::int64_t E, const float* q, std::int64_t q_stride,
                        float factor, float* scores, std::int64_t stride) {
  for (std::int64_t tile = 0; tile < tiles; ++tile, keys += 16 * E, scores += 16) {
    Floats sum[2][R][beam_vectors];
    FOVEA_UNROLL for (int c = 0; c < 2; ++c) {
      FOVEA_UNROLL for (int r = 0; r < R; ++r) {
        FOVEA_UNROLL for (int v = 0; v < beam_vectors; ++v) sum[c][r][v] = zero();
      }
    }
    const auto add_dimension = [&](int c, std::int64_t e) {
      FOVEA_UNROLL for (int v = 0; v < beam_vectors; ++v) {
        const Floats k = load(keys + e * 16 + v * width);
        FOVEA_UNROLL for (int r = 0; r < R; ++r) sum[c][r][v] = fma(broadcast(q[r * q_stride + e]), k, sum[c][r][v]);
      }
    };
    std::int64_t e = 0;
    for (; e + 2 <= E; e += 2) {
      add_dimension(0, e);
      add_dimension(1, e + 1);
    }
    if (e < E) add_dimension(0, e);
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < beam_vectors; ++v)
          store(scores + r * stride + v * width, mul(broadcast(factor), add(sum[0][r][v], sum[1][r][v])));
    }
  }
}

// Scores [S] in units of log 2 become weights.
inline void beam_weigh(float* scores, std::int64_t S) {
  const Floats nothing = broadcast(-std::numeric_limits<float>::infinity());
  Floats tops = nothing, sums = zero();
  over_vectors(S, [&](std::int64_t j, auto lanes) { tops = max(tops, lanes.read(scores + j, nothing)); });
  const Floats top = broadcast(max_of(tops));
  over_vectors(S, [&](std::int64_t j, auto lanes) {
    const Floats weight = exp2(sub(lanes.read(scores + j, nothing), top));
    sums = add(sums, weight);
    lanes.write(scores + j, weight);
  });
  const Floats share = broadcast(1.0f / sum(sums));
  over_vectors(S, [&](std::int64_t j, auto lanes) { lanes.write(scores + j, mul(lanes.read(scores + j), share)); });
}

// out[r][V vectors, the last of `last` floats] = sum_j weights[r][j] values[j]
template <int R, int V>
inline void beam_mix(const float* values, std::int64_t value_stride, std::int64_t S, const float* weights,
                     std::int64_t stride, int last, float* out, std::int64_t out_stride) {
  Floats sum[2][R][V];
  FOVEA_UNROLL for (int c = 0; c < 2; ++c) {
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < V; ++v) sum[c][r][v] = zero();
    }
  }
  const auto add_key = [&](int c, std::int64_t j) {
    const float* row = values + j * value_stride;
    FOVEA_UNROLL for (int v = 0; v < V; ++v) {
      const Floats x = v == V - 1 && last < width ? load_first(row + v * width, last) : load(row + v * width);
      FOVEA_UNROLL for (int r = 0; r < R; ++r) sum[c][r][v] =
          fma(broadcast(weights[r * stride + j]), x, sum[c][r][v]);
    }
  };
  std::int64_t j = 0;
  for (; j + 2 <= S; j += 2) {
    add_key(0, j);
    add_key(1, j + 1);
  }
  if (j < S) add_key(0, j);
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    FOVEA_UNROLL for (int v = 0; v < V; ++v)
        store_first(out + r * out_stride + v * width, add(sum[0][r][v], sum[1][r][v]), v == V - 1 ? last : width);
  }
}

// R queries of a sentence, all heads.
template <int R>
inline void beam_rows(const BeamExtents& x, const BeamQueries& s, std::int64_t row, const float* q, float* out,
                      float* weights, float* scores) {
  const std::int64_t tiles = (s.length + 15) / 16, stride = 16 * tiles;
  const float factor = x.scale * 1.44269504f;
  const float* query = q + row * x.q_stride;
  float* to = out + row * x.out_stride;
  for (std::int64_t h = 0; h < x.heads; ++h) {
    beam_scores<R>(s.keys + h * tiles * 16 * x.key_width, tiles, x.key_width, query + h * x.key_width, x.q_stride,
                   factor, scores, stride);
    for (int r = 0; r < R; ++r) {
      beam_weigh(scores + r * stride, s.length);
      if (weights) std::copy_n(scores + r * stride, s.length, weights + (r * x.heads + h) * s.length);
    }
    for (std::int64_t e = 0; e < x.value_width; e += 2 * width) {
      const float* values = s.values + h * x.value_width + e;
      float* mixed = to + h * x.value_width + e;
      const int left = static_cast<int>(std::min<std::int64_t>(x.value_width - e, 2 * width));
      if (left > width)
        beam_mix<R, 2>(values, x.value_stride, s.length, scores, stride, left - width, mixed, x.out_stride);
      else
        beam_mix<R, 1>(values, x.value_stride, s.length, scores, stride, left, mixed, x.out_stride);
    }
  }
}

void beam_sentence(const BeamExtents& x, const BeamQueries& s, const float* q, float* out, float* weights,
                   float* scores) {
  for (std::int64_t row = 0; row < s.count; row += beam_together) {
    float* of_row = weights ? weights + row * x.heads * s.length : nullptr;
    const std::int64_t first = s.first + row;
    switch (std::min(s.count - row, beam_together)) {
      case 1: beam_rows<1>(x, s, first, q, out, of_row, scores); break;
      case 2: beam_rows<2>(x, s, first, q, out, of_row, scores); break;
      case 3: beam_rows<3>(x, s, first, q, out, of_row, scores); break;
      default: beam_rows<4>(x, s, first, q, out, of_row, scores);
    }
  }
}

// Squares of keys and dimensions are transposed, with zeros for keys that are not there.
void store_beam_keys(std::int64_t heads, std::int64_t E, std::int64_t S, const float* k, std::int64_t k_stride,
                     float* to) {
  alignas(64) float square[width * width];
  for (std::int64_t h = 0; h < heads; ++h, k += E)
    for (std::int64_t first = 0; first < S; first += 16, to += 16 * E)
      for (std::int64_t j = 0; j < 16; j += width) {
        const float* rows = k + (first + j) * k_stride;
        const std::int64_t keys = std::clamp<std::int64_t>(S - first - j, 0, width);
        std::int64_t e = 0;
        for (; e + width <= E; e += width) {
          if (keys == width) {
            transpose_square(rows + e, k_stride, to + e * 16 + j, 16);
            continue;
          }
          for (std::int64_t i = 0; i < width; ++i)
            store(square + i * width, i < keys ? load(rows + i * k_stride + e) : zero());
          transpose_square(square, width, to + e * 16 + j, 16);
        }
        for (; e < E; ++e)
          for (std::int64_t i = 0; i < width; ++i) to[e * 16 + j + i] = i < keys ? rows[i * k_stride + e] : 0.0f;
      }
}
