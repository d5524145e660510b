// Products of small matrices in registers. Included by attention.inl.

// C[r,:] = (before[r] * C[r,:] + sum over visible k < n of A[r,k] B[k,:]) * after[r].
// A's element (r,k) is a[r*a_row + k*a_step]; B and C have contiguous rows. Without `add`, C need not be set;
// without `before` or `after`, nothing is multiplied. Pairs that the edges hide are skipped, not multiplied
// by zero: what is in them is nobody's.
struct Product {
  const float* a;
  std::int64_t a_row, a_step;
  const float* b;
  std::int64_t b_row;
  float* c;
  std::int64_t c_row;
  std::int64_t n;
  Edges edges{};
  bool add = false;
  const float* before = nullptr;
  const float* after = nullptr;
};

// Rows R0 .. R1-1 of a tile at step k.
template <int R0, int R1, int R, int V>
FOVEA_INLINE void product_step(const Product& p, std::int64_t k, const float* const (&a)[R],
                               Floats (&c)[R][V]) {
  if (k < 0 || k >= p.n) return;
  Floats b[V];
  FOVEA_UNROLL for (int v = 0; v < V; ++v) b[v] = load(p.b + k * p.b_row + v * width);
  FOVEA_UNROLL for (int r = R0; r < R1; ++r) {
    const Floats x = broadcast(a[r][k * p.a_step]);
    FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = fma(x, b[v], c[r][v]);
  }
}

// The triangles before the first k that all rows see, and after the last: R - 1 steps each. Step S of the
// first concerns rows 0 .. S, of the second rows S+1 .. R-1.
template <int R, int V, int S = 0>
FOVEA_INLINE void first_triangle(const Product& p, const float* const (&a)[R], Floats (&c)[R][V]) {
  if constexpr (S < R - 1) {
    product_step<0, S + 1>(p, p.edges.first + S, a, c);
    first_triangle<R, V, S + 1>(p, a, c);
  }
}
template <int R, int V, int S = 0>
FOVEA_INLINE void last_triangle(const Product& p, const float* const (&a)[R], Floats (&c)[R][V]) {
  if constexpr (S < R - 1) {
    product_step<S + 1, R>(p, p.edges.seen + S, a, c);
    last_triangle<R, V, S + 1>(p, a, c);
  }
}

template <int R, int V>
FOVEA_INLINE void product_start(const Product& p, Floats (&c)[R][V]) {
  if (!p.add) {
    FOVEA_UNROLL for (int r = 0; r < R; ++r) { FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = zero(); }
    return;
  }
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = load(p.c + r * p.c_row + v * width);
  }
  if (!p.before) return;
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    const Floats factor = broadcast(p.before[r]);
    FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = mul(factor, c[r][v]);
  }
}

template <int R, int V>
FOVEA_INLINE void product_finish(const Product& p, Floats (&c)[R][V]) {
  if (p.after) {
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      const Floats factor = broadcast(p.after[r]);
      FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = mul(factor, c[r][v]);
    }
  }
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    FOVEA_UNROLL for (int v = 0; v < V; ++v) store(p.c + r * p.c_row + v * width, c[r][v]);
  }
}

// R rows; the edges leave at least R - 1 steps between the triangles. Without `First`, there is no first one.
template <int R, int V, bool First>
void product_tile(const Product& p) {
  const float* a[R];
  Floats c[R][V];
  FOVEA_UNROLL for (int r = 0; r < R; ++r) a[r] = p.a + r * p.a_row;
  product_start(p, c);
  const std::int64_t begin = First ? std::clamp<std::int64_t>(p.edges.first + R - 1, 0, p.n) : 0;
  const std::int64_t end = std::clamp<std::int64_t>(p.edges.seen, 0, p.n);
  if constexpr (First) first_triangle<R, V>(p, a, c);
  const float* from = p.b + begin * p.b_row;
  std::int64_t step = begin * p.a_step;
  for (std::int64_t k = begin; k < end; ++k) {
    Floats b[V];
    FOVEA_UNROLL for (int v = 0; v < V; ++v) b[v] = load(from + v * width);
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      const Floats x = broadcast(a[r][step]);
      FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = fma(x, b[v], c[r][v]);
    }
    from += p.b_row;
    step += p.a_step;
  }
  if (end < p.n) last_triangle<R, V>(p, a, c);
  product_finish(p, c);
}

using ProductTile = void (*)(const Product&);

template <int V, bool First, std::size_t... R>
constexpr std::array<ProductTile, 8> product_tiles_of(std::index_sequence<R...>) {
  return {&product_tile<static_cast<int>(R) + 1, V, First>...};
}

// By vectors of columns less one, and rows less one.
template <bool First, std::size_t... V>
constexpr auto product_tiles(std::index_sequence<V...>) {
  return std::array<std::array<ProductTile, 8>, sizeof...(V)>{
      product_tiles_of<static_cast<int>(V) + 1, First>(
          std::make_index_sequence<max_rows(static_cast<int>(V) + 1)>{})...};
}

inline constexpr auto tile_table = product_tiles<false>(std::make_index_sequence<block_vectors>{});
inline constexpr auto first_tile_table = product_tiles<true>(std::make_index_sequence<block_vectors>{});

// Rows a tile for `rows` rows in all, nearly equal: by vectors of columns less one, and rows.
inline constexpr std::int64_t max_block = block_vectors * width;  // queries of a block
inline constexpr std::int64_t most_rows = std::max(key_block, max_block);
constexpr auto tile_rows() {
  std::array<std::array<std::uint8_t, most_rows + 1>, block_vectors> table{};
  for (int v = 0; v < block_vectors; ++v)
    for (int rows = 1; rows <= most_rows; ++rows) {
      const int tiles = (rows + max_rows(v + 1) - 1) / max_rows(v + 1);
      table[v][rows] = static_cast<std::uint8_t>((rows + tiles - 1) / tiles);
    }
  return table;
}
inline constexpr auto tile_rows_table = tile_rows();

// The product of `rows` rows, at most most_rows, by `columns` columns, a multiple of width. Uses `p` up: a
// copy of what was just written field by field would cost as much as a small product.
inline void multiply(Product& p, std::int64_t rows, std::int64_t columns) {
  const bool narrow = p.edges.seen - p.edges.first < most_rows;
  for (std::int64_t left = columns / width; left > 0;) {
    const std::int64_t vectors =
        left <= block_vectors ? left : std::min<std::int64_t>(block_vectors, (left + 1) / 2);
    std::int64_t most = tile_rows_table[vectors - 1][rows];
    if (narrow && p.edges.seen - p.edges.first < most - 1) most = 1;  // a window narrower than a tile
    std::int64_t r = 0;
    for (; r < rows; r += most) {
      const auto& table = p.edges.first > -most ? first_tile_table : tile_table;
      table[vectors - 1][std::min(most, rows - r) - 1](p);
      p.a += most * p.a_row;
      p.c += most * p.c_row;
      p.edges.seen += most;
      p.edges.first += most;
      if (p.before) p.before += most;
      if (p.after) p.after += most;
    }
    left -= vectors;
    if (left == 0) return;
    p.a -= r * p.a_row;
    p.b += vectors * width;
    p.c += vectors * width - r * p.c_row;
    p.edges.seen -= r;
    p.edges.first -= r;
    if (p.before) p.before -= r;
    if (p.after) p.after -= r;
  }
}

// to[j,:] = sum over d < count of rows[j,d] lanes[d,:] for R rows and V vectors of lanes.
template <int R, int V>
void score_tile(const float* rows, std::int64_t row, std::int64_t count, const float* lanes, float* to,
                std::int64_t stride) {
  const float* a[R];
  Floats c[R][V];
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    a[r] = rows + r * row;
    FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = zero();
  }
  for (std::int64_t d = 0; d < count; ++d, lanes += stride) {
    Floats b[V];
    FOVEA_UNROLL for (int v = 0; v < V; ++v) b[v] = load(lanes + v * width);
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      const Floats x = broadcast(a[r][d]);
      FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = fma(x, b[v], c[r][v]);
    }
  }
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    FOVEA_UNROLL for (int v = 0; v < V; ++v) store(to + r * stride + v * width, c[r][v]);
  }
}

using ScoreTile = void (*)(const float*, std::int64_t, std::int64_t, const float*, float*, std::int64_t);
inline constexpr int most_score_rows = 16;

template <int V, std::size_t... R>
constexpr std::array<ScoreTile, most_score_rows> score_tiles_of(std::index_sequence<R...>) {
  return {&score_tile<static_cast<int>(R) + 1, V>...};
}
template <std::size_t... V>
constexpr auto score_tiles(std::index_sequence<V...>) {
  return std::array<std::array<ScoreTile, most_score_rows>, sizeof...(V)>{
      score_tiles_of<static_cast<int>(V) + 1>(
          std::make_index_sequence<score_rows(static_cast<int>(V) + 1)>{})...};
}
inline constexpr auto score_table = score_tiles(std::make_index_sequence<block_vectors>{});

// The scores of n keys for at most block_vectors vectors of lanes, in tiles of nearly equal size.
inline void score_product(const float* rows, std::int64_t row, std::int64_t n, std::int64_t count,
                          const float* lanes, std::int64_t vectors, float* to, std::int64_t stride) {
  const int most = score_rows(static_cast<int>(vectors));
  for (std::int64_t tiles = (n + most - 1) / most; tiles > 0; --tiles) {
    const std::int64_t r = (n + tiles - 1) / tiles;
    score_table[vectors - 1][r - 1](rows, row, count, lanes, to, stride);
    rows += r * row;
    to += r * stride;
    n -= r;
  }
}

inline bool all_finite(const float* rows, std::int64_t row_stride, std::int64_t count, std::int64_t columns) {
  Floats nothing = zero();  // stays 0 unless a NaN or an infinity comes
  for (std::int64_t r = 0; r < count; ++r)
    for (std::int64_t e = 0; e < columns; e += width)
      nothing = fma(load(rows + r * row_stride + e), zero(), nothing);
  return sum(nothing) == 0.0f;
}

// As multiply, where pairs besides those the edges hide are nobody's: they have A = 0, and are skipped in the
// rare case that B is not finite.
inline void multiply_visible(Product& p, std::int64_t rows, std::int64_t columns) {
  if (all_finite(p.b, p.b_row, p.n, columns)) return multiply(p, rows, columns);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t e = 0; e < columns; e += width) {
      float* const to = p.c + r * p.c_row + e;
      Floats c = p.add ? load(to) : zero();
      if (p.add && p.before) c = mul(broadcast(p.before[r]), c);
      const Interval seen = p.edges.columns(r, r + 1, p.n);
      for (std::int64_t k = seen.begin; k < seen.end; ++k) {
        const float x = p.a[r * p.a_row + k * p.a_step];
        if (x != 0.0f) c = fma(broadcast(x), load(p.b + k * p.b_row + e), c);
      }
      store(to, p.after ? mul(broadcast(p.after[r]), c) : c);
    }
}
