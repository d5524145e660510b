// Products of a tile of weights with rows: contexts, and gradients of values. Included by
// additive_attention.inl.

// C[r,:] (+)= sum over k < n of a[r*a_row + k*a_step] b[k][:], rows r of C at c + r*c_row. Every element is
// one chain of multiply-adds in the order of k.
struct Mix {
  const float* a;
  std::int64_t a_row, a_step;
  const float* const* b;
  float* c;
  std::int64_t c_row;
  std::int64_t n;
  bool accumulate;
};

// R rows by V vectors of columns from column e on, of which the last holds `last` floats.
template <int R, int V, bool Whole>
void mix_tile(const Mix& m, std::int64_t r0, std::int64_t e, int last) {
  Floats c[R][V];
  const float* const a = m.a + r0 * m.a_row;
  float* const to = m.c + r0 * m.c_row + e;
  const auto read = [&](const float* p, int v) {
    return Whole || v < V - 1 ? load(p + v * width) : load_first(p + v * width, last);
  };
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = m.accumulate ? read(to + r * m.c_row, v) : zero();
  }
  for (std::int64_t k = 0; k < m.n; ++k) {
    const float* const row = m.b[k] + e;
    Floats b[V];
    FOVEA_UNROLL for (int v = 0; v < V; ++v) b[v] = read(row, v);
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      const Floats x = broadcast(a[r * m.a_row + k * m.a_step]);
      FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = fma(x, b[v], c[r][v]);
    }
  }
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    FOVEA_UNROLL for (int v = 0; v < V; ++v) {
      if (Whole || v < V - 1)
        store(to + r * m.c_row + v * width, c[r][v]);
      else
        store_first(to + r * m.c_row + v * width, c[r][v], last);
    }
  }
}

template <int R>
void mix_rows(const Mix& m, std::int64_t r, std::int64_t e0, std::int64_t e1) {
  constexpr std::int64_t wide = block_vectors * width;
  std::int64_t e = e0;
  for (; e + wide <= e1; e += wide) mix_tile<R, block_vectors, true>(m, r, e, width);
  for (; e + width <= e1; e += width) mix_tile<R, 1, true>(m, r, e, width);
  if (e < e1) mix_tile<R, 1, false>(m, r, e, static_cast<int>(e1 - e));
}

// Columns [e0, e1) of `rows` rows; row after row, as memory lies.
inline void mix(const Mix& m, std::int64_t rows, std::int64_t e0, std::int64_t e1) {
  constexpr int most = max_rows(block_vectors);
  std::int64_t r = 0;
  for (; r + most <= rows; r += most) mix_rows<most>(m, r, e0, e1);
  for (; r + 2 <= rows; r += 2) mix_rows<2>(m, r, e0, e1);
  if (r < rows) mix_rows<1>(m, r, e0, e1);
}
