// Included once per instruction set: see for_each_isa.h.

/// Whether all of `count` rows of `width_of_row` floats are finite: 0 * x is 0 for those alone.
inline bool all_finite(std::int64_t count, std::int64_t row_width, std::int64_t stride, const float* x) {
  Floats products = zero();
  for (std::int64_t r = 0; r < count; ++r)
    over_vectors(row_width, [&](std::int64_t i, auto lanes) {
      products = fma(lanes.read(x + r * stride + i), zero(), products);
    });
  return sum(products) == 0.0f;
}

/// out[r] (+)= sum_c a[r,c] x[c], without the pairs that are 0; a[r,c] lies at a + r*a_row + c*a_column. The
/// chain of multiply-adds is that of gemm(), so finite operands give the same bits as there.
inline void sparse_product(const SparseProduct& p, bool accumulate, float* out) {
  for (std::int64_t r = 0; r < p.rows; ++r) {
    float* out_row = out + r * p.out_stride;
    if (!accumulate) std::fill(out_row, out_row + p.width, 0.0f);
    for (std::int64_t c = 0; c < p.columns; ++c) {
      const float weight = p.a[r * p.a_row + c * p.a_column];
      if (weight == 0.0f) continue;
      const Floats w = broadcast(weight);
      over_vectors(p.width, [&](std::int64_t e, auto lanes) {
        lanes.write(out_row + e, fma(w, lanes.read(p.x + c * p.x_stride + e), lanes.read(out_row + e)));
      });
    }
  }
}

// As many keys at a time as a vector has lanes: no sum over lanes alone.
inline void row_dots(std::int64_t S, std::int64_t row_width, const float* row, const PairKeys& keys,
                     float scale, float* out) {
  for (std::int64_t j = 0; j < S; j += width) {
    const int count = static_cast<int>(std::min<std::int64_t>(width, S - j));
    const float* key[width];
    for (int i = 0; i < width; ++i) key[i] = keys[j + std::min(i, count - 1)];
    Floats sums[width];
    FOVEA_UNROLL for (int i = 0; i < width; ++i) sums[i] = zero();
    over_vectors(row_width, [&](std::int64_t e, auto lanes) {
      const Floats x = lanes.read(row + e);
      FOVEA_UNROLL for (int i = 0; i < width; ++i) sums[i] = fma(x, lanes.read(key[i] + e), sums[i]);
    });
    const Floats dots = mul(lane_sums(sums), broadcast(scale));
    count == width ? store(out + j, dots) : store_first(out + j, dots, count);
  }
}

// Columns [e, e + V vectors), of which the last has `last` floats.
template <int V, bool Whole>
void mix_columns(std::int64_t S, const float* weights, const PairKeys& keys, bool accumulate, std::int64_t e,
                 int last, float* out) {
  const auto read = [&](const float* p, int v) {
    return Whole || v < V - 1 ? load(p + v * width) : load_first(p + v * width, last);
  };
  Floats sums[V];
  FOVEA_UNROLL for (int v = 0; v < V; ++v) sums[v] = accumulate ? read(out + e, v) : zero();
  for (std::int64_t j = 0; j < S; ++j) {
    if (weights[j] == 0.0f) continue;
    const Floats w = broadcast(weights[j]);
    const float* const key = keys[j] + e;
    FOVEA_UNROLL for (int v = 0; v < V; ++v) sums[v] = fma(w, read(key, v), sums[v]);
  }
  FOVEA_UNROLL for (int v = 0; v < V; ++v) {
    if (Whole || v < V - 1)
      store(out + e + v * width, sums[v]);
    else
      store_first(out + e + v * width, sums[v], last);
  }
}

inline void row_mix(std::int64_t S, std::int64_t row_width, const float* weights, const PairKeys& keys,
                    bool accumulate, float* out) {
  constexpr int wide = 8;
  std::int64_t e = 0;
  for (; e + wide * width <= row_width; e += wide * width)
    mix_columns<wide, true>(S, weights, keys, accumulate, e, width, out);
  for (; e + width <= row_width; e += width)
    mix_columns<1, true>(S, weights, keys, accumulate, e, width, out);
  if (e < row_width)
    mix_columns<1, false>(S, weights, keys, accumulate, e, static_cast<int>(row_width - e), out);
}

inline void scaled_product(std::int64_t count, float factor, const float* a, const float* b, float* out) {
  const Floats f = broadcast(factor);
  over_vectors(count, [&](std::int64_t i, auto lanes) {
    const Floats scaled = mul(lanes.read(a + i), f);
    lanes.write(out + i, b ? mul(scaled, lanes.read(b + i)) : scaled);
  });
}
