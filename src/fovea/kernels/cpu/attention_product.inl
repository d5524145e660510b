// Products of small matrices in registers, and the layouts they read. Included by attention.inl.

inline constexpr std::int64_t key_block = 64;  // divides LaneDropout::panel_keys
inline constexpr std::int64_t max_block = block_vectors * width;
inline constexpr float log2_e = 1.44269504089f, ln_2 = 0.69314718056f;
inline constexpr float lowest = -3e38f;  // below every score, and finite: lowest - lowest = 0
inline constexpr float no_score = -std::numeric_limits<float>::infinity();

// C[r,:] = (before[r] * C[r,:] + sum over k < min(n, seen + r) of A[r,k] B[k,:]) * after[r].
// A's element (r,k) is a[r*a_row + k*a_step]; B and C have contiguous rows. Without `before`, C need not be
// set; without `after`, nothing is multiplied. Pairs beyond `seen + r` are skipped, not multiplied by zero:
// what is in them is nobody's.
struct Product {
  const float* a;
  std::int64_t a_row, a_step;
  const float* b;
  std::int64_t b_row;
  float* c;
  std::int64_t c_row;
  std::int64_t n;
  std::int64_t seen = AttentionHead::everything;
  const float* before = nullptr;
  const float* after = nullptr;
};

// The triangle after the last k that all rows see: step S concerns rows S, S+1, ...
template <int R, int V, int S>
FOVEA_INLINE void product_triangle(const Product& p, const float* const (&a)[R], Floats (&c)[R][V]) {
  if constexpr (S < R) {
    const std::int64_t k = p.seen + S - 1;
    if (k >= 0 && k < p.n) {
      Floats b[V];
      FOVEA_UNROLL for (int v = 0; v < V; ++v) b[v] = load(p.b + k * p.b_row + v * width);
      FOVEA_UNROLL for (int r = S; r < R; ++r) {
        const Floats x = broadcast(a[r][k * p.a_step]);
        FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = fma(x, b[v], c[r][v]);
      }
    }
    product_triangle<R, V, S + 1>(p, a, c);
  }
}

template <int R, int V>
void product_tile(const Product& p) {
  const float* a[R];
  Floats c[R][V];
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    a[r] = p.a + r * p.a_row;
    FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] =
        p.before ? mul(broadcast(p.before[r]), load(p.c + r * p.c_row + v * width)) : zero();
  }
  const std::int64_t common = std::clamp<std::int64_t>(p.seen, 0, p.n);
  const float* from = p.b;
  std::int64_t step = 0;
  for (std::int64_t k = 0; k < common; ++k) {
    Floats b[V];
    FOVEA_UNROLL for (int v = 0; v < V; ++v) b[v] = load(from + v * width);
    FOVEA_UNROLL for (int r = 0; r < R; ++r) {
      const Floats x = broadcast(a[r][step]);
      FOVEA_UNROLL for (int v = 0; v < V; ++v) c[r][v] = fma(x, b[v], c[r][v]);
    }
    from += p.b_row;
    step += p.a_step;
  }
  if (p.seen < p.n) product_triangle<R, V, 1>(p, a, c);
  FOVEA_UNROLL for (int r = 0; r < R; ++r) {
    FOVEA_UNROLL for (int v = 0; v < V; ++v) {
      if (p.after) c[r][v] = mul(broadcast(p.after[r]), c[r][v]);
      store(p.c + r * p.c_row + v * width, c[r][v]);
    }
  }
}

using ProductTile = void (*)(const Product&);

template <int V, std::size_t... R>
constexpr std::array<ProductTile, 8> product_tiles_of(std::index_sequence<R...>) {
  return {&product_tile<static_cast<int>(R) + 1, V>...};
}

// By vectors of columns less one, and rows less one.
template <std::size_t... V>
constexpr auto product_tiles(std::index_sequence<V...>) {
  return std::array<std::array<ProductTile, 8>, sizeof...(V)>{product_tiles_of<static_cast<int>(V) + 1>(
      std::make_index_sequence<max_rows(static_cast<int>(V) + 1)>{})...};
}

inline constexpr auto tile_table = product_tiles(std::make_index_sequence<block_vectors>{});

// Rows a tile for `rows` rows in all, nearly equal: by vectors of columns less one, and rows.
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

// The product of `rows` rows, at most most_rows, by `columns` columns, a multiple of width.
inline void multiply(const Product& whole, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t v = 0, vectors = 0, left = columns / width; left > 0; v += vectors, left -= vectors) {
    vectors = left <= block_vectors ? left : std::min<std::int64_t>(block_vectors, (left + 1) / 2);
    const std::int64_t most = tile_rows_table[vectors - 1][rows];
    Product part = whole;
    part.b += v * width;
    part.c += v * width;
    for (std::int64_t r = 0; r < rows; r += most) {
      tile_table[vectors - 1][std::min(most, rows - r) - 1](part);
      part.a += most * part.a_row;
      part.c += most * part.c_row;
      part.seen += most;
      if (part.before) part.before += most;
      if (part.after) part.after += most;
    }
  }
}

// to[d*to_stride + lane] = factor * row(lane)[d] for d < count: rows become lanes. Lanes past the last row of
// the last vector repeat it; nobody looks at them.
inline void rows_to_lanes(const float* from, std::int64_t row_stride, std::int64_t rows, std::int64_t count,
                          float factor, float* to, std::int64_t to_stride) {
  for (std::int64_t first = 0; first < rows; first += width, to += width) {
    const float* row[width];
    for (int i = 0; i < width; ++i) row[i] = from + std::min(first + i, rows - 1) * row_stride;
    std::int64_t d = 0;
    for (; d + 4 <= count; d += 4) transpose4(row, d, to + d * to_stride, to_stride, factor);
    for (; d < count; ++d)
      for (int i = 0; i < width; ++i) to[d * to_stride + i] = factor * row[i][d];
  }
}

inline std::int64_t round_up(std::int64_t count) { return (count + width - 1) / width * width; }

inline void copy_row(const float* from, std::int64_t count, float* to) {
  std::int64_t e = 0;
  for (; e + width <= count; e += width) store(to + e, load(from + e));
  if (e < count)
    store_first(to + e, load_first(from + e, static_cast<int>(count - e)), static_cast<int>(count - e));
}

// As copy_row, with zeros up to the next multiple of width.
inline void copy_row_padded(const float* from, std::int64_t count, float* to) {
  std::int64_t e = 0;
  for (; e + width <= count; e += width) store(to + e, load(from + e));
  if (e < count) store(to + e, load_first(from + e, static_cast<int>(count - e)));
}

// Rows of a matrix whose width is a multiple of the vectors' (or whose columns are read one by one).
struct Panel {
  const float* data;
  std::int64_t row;
};

// `rows` rows for a product's B: in place where the width allows, else copied with zeros to a multiple of
// width.
inline Panel padded_rows(const float* from, std::int64_t row_stride, std::int64_t rows, std::int64_t count,
                         float* scratch) {
  if (count % width == 0) return {from, row_stride};
  const std::int64_t row = round_up(count);
  for (std::int64_t r = 0; r < rows; ++r) copy_row_padded(from + r * row_stride, count, scratch + r * row);
  return {scratch, row};
}

// The keys or values of a head as dense rows: in place, or gathered if rows are picked by index, if vectors
// need padding, or if they are read so often that rows far apart would fight for cache lines.
inline Panel gather_rows(const AttentionHead& head, const float* from, std::int64_t row_stride,
                         std::int64_t count, bool in_place, float* scratch) {
  if (in_place && !head.key_rows) return {from, row_stride};
  const std::int64_t row = round_up(count);
  for (std::int64_t j = 0; j < head.keys; ++j)
    copy_row_padded(from + head.key_row(j) * row_stride, count, scratch + j * row);
  return {scratch, row};
}

// Scratch memory handed out piece by piece, in whole cache lines.
class Arena {
 public:
  explicit Arena(float* next) : next_(next) {}
  float* take(std::int64_t count) {
    float* const piece = next_;
    next_ += size(count);
    return piece;
  }
  static std::int64_t size(std::int64_t count) { return (count + 15) / 16 * 16; }

 private:
  float* next_;
};

// Keys that the queries of lane vector v of a block see, of the n keys from j0 on.
inline std::int64_t column_keys(const AttentionHead& head, std::int64_t t0, std::int64_t nq, std::int64_t v,
                                std::int64_t j0, std::int64_t n) {
  return std::clamp<std::int64_t>(head.reach(t0 + std::min((v + 1) * width, nq) - 1) - j0, 0, n);
}

// to[j,lane] = sum_d rows[j,d] lanes[d,lane] for keys j < n of a block, without those that no query of a lane
// vector sees: keys up to where vector v ends take vectors v and later.
inline void lane_scores(const AttentionHead& head, std::int64_t t0, std::int64_t nq, std::int64_t j0,
                        std::int64_t n, Panel rows, std::int64_t count, const float* lanes, float* to,
                        std::int64_t stride) {
  const std::int64_t vectors = stride / width;
  for (std::int64_t v = 0, j = 0; v < vectors && j < n; ++v) {
    const std::int64_t end = column_keys(head, t0, nq, v, j0, n);
    if (end <= j) continue;
    multiply({.a = rows.data + (j0 + j) * rows.row,
              .a_row = rows.row,
              .a_step = 1,
              .b = lanes + v * width,
              .b_row = stride,
              .c = to + j * stride + v * width,
              .c_row = stride,
              .n = count},
             end - j, stride - v * width);
    j = end;
  }
}

// Dropout's multipliers of a block's queries, lanes = queries, drawn a panel of keys at a time.
class LaneDropout {
 public:
  static constexpr std::int64_t panel_keys = 512;
  static std::int64_t scratch(std::int64_t nq, std::int64_t keys) {
    return Arena::size(nq * std::min(keys, panel_keys));
  }
  LaneDropout(const Execution& exec, const Dropout& dropout, const AttentionHead& head, std::int64_t t0,
              std::int64_t nq, float* scratch)
      : exec_(exec), dropout_(dropout), head_(head), t0_(t0), nq_(nq), drawn_(scratch) {}

  // to[j,lane] for keys j0 .. j0+n-1; calls come in order of j0, panels are multiples of the blocks of keys.
  void draw(std::int64_t j0, std::int64_t n, float* to, std::int64_t stride) {
    if (j0 % panel_keys == 0) draw_panel(j0);
    rows_to_lanes(drawn_ + j0 % panel_keys, panel_, nq_, n, 1.0f, to, stride);
  }

 private:
  void draw_panel(std::int64_t j0) {
    panel_ = std::min(head_.keys - j0, panel_keys);
    const std::uint64_t first = head_.first_element + static_cast<std::uint64_t>(t0_ * head_.keys + j0);
    if (panel_ == head_.keys)
      return dropout_multipliers(exec_.kernels, dropout_, first, nq_ * panel_, drawn_);
    for (std::int64_t t = 0; t < nq_; ++t)
      dropout_multipliers(exec_.kernels, dropout_, first + static_cast<std::uint64_t>(t * head_.keys), panel_,
                          drawn_ + t * panel_);
  }

  const Execution& exec_;
  const Dropout& dropout_;
  const AttentionHead& head_;
  std::int64_t t0_, nq_, panel_ = 0;
  float* drawn_;
};
