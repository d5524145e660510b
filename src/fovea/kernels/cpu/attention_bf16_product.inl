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

template <int R, int V>
void unit_tile(const UnitProduct& whole) {
  const UnitProduct p = whole;  // in registers: stores to C cannot change it
  const float* a[R];
  Floats c[R][V];
  FOVEA_UNROLL for (int r = 0; r < R; ++r) a[r] = p.a + r * p.a_row;
  if (!p.add) {
    FOVEA_UNROLL for (int r = 0; r < R; ++r) { FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = zero(); }
  } else {
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = load(p.c + r * p.c_row + v * width);
    }
    if (p.before) {
      FOVEA_UNROLL for (int r = 0; r < R; ++r) {
        const Floats factor = broadcast(p.before[r]);
        FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = mul(factor, c[r][v]);
      }
    }
  }
  const float* from = p.b;
  const std::int64_t end = p.n * p.a_step;
  for (std::int64_t step = 0; step < end; step += p.a_step, from += p.b_row) {
    Floats b[V];
    FOVEA_UNROLL for (int v = 0; v < V; ++v) b[v] = load(from + v * width);
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      const Floats x = broadcast(a[r][step]);
      FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = multiply_add(x, b[v], c[r][v]);
    }
  }
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    FOVEA_UNROLL for (int v = 0; v < V; ++v) store(p.c + r * p.c_row + v * width, c[r][v]);
  }
}

using UnitTile = void (*)(const UnitProduct&);

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
inline void multiply_units(const UnitProduct& whole, std::int64_t rows, std::int64_t columns,
                           const Edges& edges = {}) {
  for_each_columns(columns, [&](std::int64_t v, std::int64_t vectors) {
    const std::int64_t most = max_rows(static_cast<int>(vectors));
    std::int64_t r = 0;
    for (std::int64_t tiles = (rows + most - 1) / most; tiles > 0; --tiles) {
      const std::int64_t count = (rows - r + tiles - 1) / tiles;
      const Interval steps = edges.columns(r, r + count, whole.n * pair);
      const std::int64_t first = steps.begin / pair, last = std::max((steps.end + pair - 1) / pair, first);
      UnitProduct part = whole;
      part.a += r * whole.a_row + first * whole.a_step;
      part.b += first * whole.b_row + v * width;
      part.c += r * whole.c_row + v * width;
      part.n = last - first;
      if (part.before) part.before += r;
      unit_table[vectors - 1][count - 1](part);
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
