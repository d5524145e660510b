// Products in units of `pair` elements. Included by attention_bf16.inl.

// C[r,:] = before[r] * C[r,:] + sum over units k < n of A[r,k] B[k,:], the unit's elements multiplied one by
// one. A's unit (r,k) is a[r*a_row + k*a_step]; B and C have contiguous rows. Without `add`, C need not be
// set.
struct UnitProduct {
  const float* a;
  std::int64_t a_row, a_step;
  const float* b;
  std::int64_t b_row;
  float* c;
  std::int64_t c_row;
  std::int64_t n;
  bool add = false;
  const float* before = nullptr;
};

// R rows by V vectors over n units, from a, b, c and before on; the strides of `p`.
template <int R, int V>
void unit_tile(const UnitProduct& p, const float* a0, const float* b0, float* c0, const float* before,
               std::int64_t n) {
  const std::int64_t a_step = p.a_step, b_row = p.b_row, c_row = p.c_row;
  const float* a[R];
  Floats c[R][V];
  FOVEA_UNROLL for (int r = 0; r < R; ++r) a[r] = a0 + r * p.a_row;
  if (!p.add) {
    FOVEA_UNROLL for (int r = 0; r < R; ++r) { FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = zero(); }
  } else {
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = load(c0 + r * c_row + v * width);
    }
    if (before) {
      FOVEA_UNROLL for (int r = 0; r < R; ++r) {
        const Floats factor = broadcast(before[r]);
        FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = mul(factor, c[r][v]);
      }
    }
  }
  const std::int64_t end = n * a_step;
  for (std::int64_t step = 0; step < end; step += a_step, b0 += b_row) {
    Floats b[V];
    FOVEA_UNROLL for (int v = 0; v < V; ++v) b[v] = load(b0 + v * width);
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      const Floats x = broadcast(a[r][step]);
      FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = multiply_add(x, b[v], c[r][v]);
    }
  }
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    FOVEA_UNROLL for (int v = 0; v < V; ++v) store(c0 + r * c_row + v * width, c[r][v]);
  }
}

using UnitTile = void (*)(const UnitProduct&, const float*, const float*, float*, const float*, std::int64_t);

template <int V, std::size_t... R>
constexpr std::array<UnitTile, 8> unit_tiles_of(std::index_sequence<R...>) {
  return {&unit_tile<static_cast<int>(R) + 1, V>...};
}
template <std::size_t... V>
constexpr auto unit_tiles(std::index_sequence<V...>) {
  return std::array<std::array<UnitTile, 8>, sizeof...(V)>{unit_tiles_of<static_cast<int>(V) + 1>(
      std::make_index_sequence<max_rows(static_cast<int>(V) + 1)>{})...};
}
inline constexpr auto unit_table = unit_tiles(std::make_index_sequence<block_vectors>{});

// body(first vector of columns, vectors) for parts of at most block_vectors, nearly equal.
template <class Body>
void for_each_columns(std::int64_t columns, const Body& body) {
  for (std::int64_t v = 0, vectors = 0, left = columns / width; left > 0; v += vectors, left -= vectors) {
    vectors = left <= block_vectors ? left : std::min<std::int64_t>(block_vectors, (left + 1) / 2);
    body(v, vectors);
  }
}

// The product of `rows` rows by `columns` columns, a multiple of width. Of n * pair steps row r sees those of
// the edges; A is 0 in the others, and tiles leave out what none of their rows sees.
inline void multiply_units(const UnitProduct& p, std::int64_t rows, std::int64_t columns,
                           const Edges& edges = {}) {
  const bool all = edges.first + rows <= 1 && edges.seen >= p.n * pair;
  for_each_columns(columns, [&](std::int64_t v, std::int64_t vectors) {
    const auto& table = unit_table[vectors - 1];
    const int most = max_rows(static_cast<int>(vectors)), tiles = (static_cast<int>(rows) + most - 1) / most;
    const std::int64_t base = static_cast<int>(rows) / tiles, larger = rows - base * tiles;
    std::int64_t r = 0;
    for (std::int64_t i = 0; i < tiles; ++i) {
      const std::int64_t count = base + (i < larger);
      std::int64_t first = 0, last = p.n;
      if (!all) {
        const Interval steps = edges.columns(r, r + count, p.n * pair);
        first = steps.begin / pair;
        last = std::max((steps.end + pair - 1) / pair, first);
      }
      table[count - 1](p, p.a + r * p.a_row + first * p.a_step, p.b + first * p.b_row + v * width,
                       p.c + r * p.c_row + v * width, p.before ? p.before + r : nullptr, last - first);
      r += count;
    }
  });
}

// The same sums where B may hold a NaN or an infinity: what A = 0 hides is not multiplied.
inline void multiply_seen_units(const UnitProduct& p, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t e = 0; e < columns; e += width) {
      float* const to = p.c + r * p.c_row + e;
      Floats c = p.add ? load(to) : zero();
      if (p.add && p.before) c = mul(broadcast(p.before[r]), c);
      for (std::int64_t k = 0; k < p.n; ++k) {
        const float x = p.a[r * p.a_row + k * p.a_step];
        c = multiply_add(broadcast(x), multiplied(x, load(p.b + k * p.b_row + e)), c);
      }
      store(to, c);
    }
}

// As lane_scores of attention_score.inl, in units.
inline void lane_unit_scores(const KeyTile& tile, std::int64_t nq, Panel rows, std::int64_t units,
                             const float* lanes, float* to, std::int64_t stride) {
  std::int64_t first = 0, last = 0;
  for (std::int64_t j = 0; j < tile.n;) {
    while (last * width < nq && lane_keys(tile, last * width, nq).begin <= j) ++last;
    while (first < last && lane_keys(tile, first * width, nq).end <= j) ++first;
    std::int64_t end = tile.n;
    if (last * width < nq) end = std::min(end, lane_keys(tile, last * width, nq).begin);
    if (first < last) end = std::min(end, lane_keys(tile, first * width, nq).end);
    if (first < last)
      multiply_units({.a = rows.data + j * rows.row,
                      .a_row = rows.row,
                      .a_step = 1,
                      .b = lanes + first * width,
                      .b_row = stride,
                      .c = to + j * stride + first * width,
                      .c_row = stride,
                      .n = units},
                     end - j, (last - first) * width);
    j = end;
  }
}
