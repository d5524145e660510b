// The body of cpu/gemm.cpp and gemm_dot16.cpp, included once per instruction set inside its namespace. Before:
// #define FOVEA_GEMM_UNITS "path.inl", what the tiles multiply:
//   pair                 elements of K in a unit
//   add_products(s,a,b)  s += the products of a's and b's units
//   gemm_pack_b, copy_a  elements of B and A as units; copies_a(transposed): whether A is copied at all

#include "fovea/kernels/cpu/activate.inl"

// A tile of C fills the registers but for one row of B and one element of A:
// 6 x 64 with 32 registers of 16 floats, 6 x 16 with 16 of 8.
inline constexpr int tile_rows = registers >= 16 ? 6 : 2;
inline constexpr int tile_vectors = registers >= 32 ? 4 : 2;
inline constexpr std::int64_t panel = tile_vectors * width;
// Units that the innermost loop takes at once: 256 bytes of B, so that narrow vectors, too, do little but
// multiply (6 x 16 on a Zen 3 whose core others share, 512 x 32000 x 512: 253 ms one by one, 219 by fours).
inline constexpr std::int64_t units_at_once = std::max<std::int64_t>(1, 64 / panel);

// Rows of a matrix lie far apart, where the processor does not look ahead by itself: copies ask for a row
// this far ahead.
inline constexpr std::int64_t rows_ahead = 8;

#include FOVEA_GEMM_UNITS

inline constexpr std::int64_t units_of(std::int64_t elements) { return (elements + pair - 1) / pair; }

struct Tile {
  std::int64_t units = 0;
  const float* a = nullptr;  // row r, unit u: a[r*a_stride + u], or a[u*a_stride + r] if A is transposed
  std::int64_t a_stride = 0;
  const float* b = nullptr;  // unit u, column n of a panel: b[u*panel + n]
  std::int64_t panel_stride = 0;
  float* c = nullptr;
  std::int64_t ldc = 0;
  bool from_c = false;          // the chain goes on from C
  const float* bias = nullptr;  // or none: the chain is not finished, or there is no bias
  int last = 0;                 // columns of the last vector
  const char* ahead = nullptr;  // what is needed next: units_at_once fetch the line there and the one
  std::int64_t ahead_step = 0;  // after it, and move on by so many bytes
};

// sum[r][n] += the products of a unit.
template <int rows, int vectors, bool transposed>
inline void add_unit(Floats (&sum)[rows][vectors], const float* a, std::int64_t a_stride, const float* b,
                     std::int64_t panel_stride) {
  Floats row[vectors];
#pragma GCC unroll 8
  for (int v = 0; v < vectors; ++v) row[v] = load(b + v / tile_vectors * panel_stride + v % tile_vectors * width);
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    const Floats element = broadcast(transposed ? a[r] : a[r * a_stride]);
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) add_products(sum[r][v], element, row[v]);
  }
}

// The innermost loop: c[r][n] = chain over u of add_products(c[r][n], a[r][u], b[u][n]).
template <int rows, int vectors, bool transposed>
void compute_tile(const Tile& t) {
  const float *a = t.a, *b = t.b;
  const std::int64_t a_stride = t.a_stride, ldc = t.ldc;
  float* c = t.c;
  const char* ahead = t.ahead;
  const std::int64_t ahead_step = t.ahead_step;
  Floats sum[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) {
      sum[r][v] = zero();
      if (t.from_c) {
        const float* p = c + r * ldc + v * width;
        sum[r][v] = v + 1 < vectors ? load(p) : load_first(p, t.last);
      } else {
        __builtin_prefetch(c + r * ldc + v * width, 1);
      }
    }
  const std::int64_t next_unit = transposed ? a_stride : 1;
  std::int64_t units = t.units;
  for (; units >= units_at_once; units -= units_at_once) {
#pragma GCC unroll 4
    for (std::int64_t u = 0; u < units_at_once; ++u)
      add_unit<rows, vectors, transposed>(sum, a + u * next_unit, a_stride, b + u * panel, t.panel_stride);
    a += units_at_once * next_unit;
    b += units_at_once * panel;
    if (!transposed && rows >= 3) {  // fewer rows wait for B alone
      __builtin_prefetch(ahead, 0, 2);
      __builtin_prefetch(ahead + 64, 0, 2);
      ahead += ahead_step;
    }
  }
  for (; units > 0; --units, a += next_unit, b += panel)
    add_unit<rows, vectors, transposed>(sum, a, a_stride, b, t.panel_stride);
#pragma GCC unroll 8
  for (int v = 0; v < vectors; ++v) {
    const int count = v + 1 < vectors ? width : t.last;
    const Floats bias = t.bias ? load_first(t.bias + v * width, count) : zero();
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      float* p = c + r * ldc + v * width;
      const Floats out = t.bias ? add(sum[r][v], bias) : sum[r][v];
      if (v + 1 < vectors)
        store(p, out);
      else
        store_first(p, out, count);
    }
  }
}

using TileFunction = void (*)(const Tile&);

template <bool transposed, int... index>
constexpr auto tile_table(std::integer_sequence<int, index...>) {
  return std::array<TileFunction, sizeof...(index)>{
      &compute_tile<index / tile_vectors + 1, index % tile_vectors + 1, transposed>...};
}
using TileIndices = std::make_integer_sequence<int, tile_rows * tile_vectors>;
inline constexpr auto tiles = tile_table<false>(TileIndices{});
inline constexpr auto tiles_transposed = tile_table<true>(TileIndices{});

// Panels that one or two rows meet at once: with narrow vectors a panel alone has too few sums to keep
// multiplication busy.
constexpr std::int64_t panels_at_once(std::int64_t rows) {
  return registers == 16 && rows <= 2 ? 4 / rows : 1;
}
inline constexpr TileFunction wide_tiles[] = {&compute_tile<1, panels_at_once(1) * tile_vectors, false>,
                                              &compute_tile<2, panels_at_once(2) * tile_vectors, false>};

template <Activation activation>
void activate_rows(std::int64_t rows, std::int64_t columns, float* c, float* pre, const float* residual,
                   std::int64_t ldc) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t n = 0; n < columns; n += width) {
      const int count = static_cast<int>(std::min<std::int64_t>(width, columns - n));
      float* p = c + r * ldc + n;
      const Floats x = load_first(p, count);
      if (pre) store_first(pre + r * ldc + n, x, count);
      const Floats y = activate<activation>(x);
      if (residual)
        store_first(p, add(y, load_first(residual + r * ldc + n, count)), count);
      else if (activation != Activation::identity)
        store_first(p, y, count);
    }
  }
}

inline void finish_rows(Activation activation, std::int64_t rows, std::int64_t columns, float* c, float* pre,
                        const float* residual, std::int64_t ldc) {
  if (activation == Activation::identity && !pre && !residual) return;
  with_activation(activation,
                  [&]<Activation which> { activate_rows<which>(rows, columns, c, pre, residual, ldc); });
}

// How a call is cut: blocks of rows of A, of columns of B, and of elements of K.
struct Blocks {
  std::int64_t m, n, k;
};

// Many rows: a block of B stays in half of the second cache while all rows pass; rows of an A that is
// copied are copied a block at a time beside it, for as many columns at once as half as long a block of K allows.
// Few rows: a panel after another, so that B is read once; a piece of it is transposed, then used from the
// first cache.
inline Blocks choose_blocks(const GemmExtents& e, bool packed) {
  constexpr std::int64_t few_rows = 48, rows_of_a = 96;
  const std::int64_t second_cache = second_cache_bytes() / 2 / static_cast<std::int64_t>(sizeof(float));
  std::int64_t units = gemm_block(units_of(e.K));
  if (!packed && e.M <= few_rows) units = e.M < 4 ? 128 : 256;
  if (!packed && e.M > few_rows && copies_a(e.transpose_a))
    units = std::min(units, std::max<std::int64_t>(256, second_cache / e.N));
  const std::int64_t columns = e.M > few_rows ? std::max(panel, second_cache / units / panel * panel)
                               : packed       ? panel * panels_at_once(e.M)
                                              : panel;
  return {copies_a(e.transpose_a) ? rows_of_a : e.M, columns, units * pair};
}

// Rows of A from `a` against panels of B from `b`: one block of each, all of it computed.
struct BlockProduct {
  bool transposed;
  Tile tile;  // what all its tiles share; a, b, c, bias of the first
  std::int64_t rows, columns;
  const float* next;  // few rows: the panel after this one, if there is one
};

// Few rows: the first tiles of a panel fetch a part of the next one each, two lines a turn or one, so that memory
// does not wait for arithmetic. A single tile reads as fast as memory gives.
inline void look_ahead(const BlockProduct& p, std::int64_t row, std::int64_t rows, Tile& tile) {
  constexpr std::int64_t line = 64, bytes = panel * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t tiles = (p.rows + rows - 1) / rows, fetching = std::min<std::int64_t>(tiles, 4);
  const bool fetches = p.next && tiles > 1 && row / rows < fetching;
  const std::int64_t part = tile.units * bytes / fetching / line * line;
  tile.ahead = reinterpret_cast<const char*>(fetches ? p.next : tile.b) + (fetches ? row / rows * part : 0);
  tile.ahead_step = !fetches ? 0 : fetching < 4 ? 2 * line : line;
}

inline void compute_rows(const BlockProduct& p, std::int64_t row, std::int64_t rows) {
  Tile tile = p.tile;
  tile.a += p.transposed ? row : row * tile.a_stride;
  tile.c += row * tile.ldc;
  const std::int64_t wide = panel * panels_at_once(rows);
  for (std::int64_t n = 0, columns; n < p.columns; n += columns) {
    columns = std::min(panel, p.columns - n);
    if (wide > panel && !p.transposed && n + wide <= p.columns) {
      columns = wide;
      tile.last = width;
      wide_tiles[rows - 1](tile);
    } else {
      const std::int64_t vectors = (columns + width - 1) / width;
      tile.last = static_cast<int>(columns - (vectors - 1) * width);
      look_ahead(p, row, rows, tile);
      const auto index = static_cast<std::size_t>((rows - 1) * tile_vectors + vectors - 1);
      (p.transposed ? tiles_transposed : tiles)[index](tile);
    }
    tile.b += columns / panel * tile.panel_stride;
    tile.c += columns;
    if (tile.bias) tile.bias += columns;
  }
}

// Where few rows go on: the panel's next block of K, or the first block of the next panel if k = 0.
inline const float* next_panel(const GemmExtents& e, const PackedPanels& packed, std::int64_t n, std::int64_t k) {
  const std::int64_t units = std::min(gemm_block(units_of(e.K)), units_of(e.K - k));
  return packed.data + k / pair * packed.columns + (packed.first_panel + n / panel + (k == 0)) * panel * units;
}

// Rows of op(A) from row m, elements from k, as tiles read them.
inline void set_rows(const GemmExtents& e, const float* A, std::int64_t m, std::int64_t mb, std::int64_t k,
                     std::int64_t kb, const Blocks& blocks, float* room, Tile& tile) {
  if (copies_a(e.transpose_a)) {
    tile.a = room;
    tile.a_stride = copy_a(e, A, m, mb, k, kb, blocks.m, room);
  } else {
    tile.a = A + m * e.lda + k;
    tile.a_stride = e.lda;
  }
}

void gemm(const GemmExtents& e, const float* A, const float* B, const PackedPanels* packed, float* C,
          const GemmEpilogue& epilogue, const GemmScratch& scratch) {
  const Blocks blocks = choose_blocks(e, packed);
  const std::int64_t block_units = blocks.k / pair;
  const auto room = [&](int slot, std::int64_t count) {
    return scratch.workspace->get(scratch.worker, slot, static_cast<std::size_t>(count));
  };
  float* const b_room =
      packed ? nullptr : room(0, block_units * std::min(blocks.n, (e.N + panel - 1) / panel * panel));
  float* const a_room = copies_a(e.transpose_a) ? room(1, (block_units + width) * blocks.m) : nullptr;
  for (std::int64_t n = 0; n < e.N; n += blocks.n) {
    const std::int64_t nb = std::min(blocks.n, e.N - n);
    for (std::int64_t k = 0; k == 0 || k < e.K; k += blocks.k) {
      const std::int64_t kb = std::min(blocks.k, e.K - k), units = units_of(kb);
      const bool last = k + kb == e.K;
      const float* b = b_room;
      if (packed)
        b = packed->data + k / pair * packed->columns + (packed->first_panel + n / panel) * panel * units;
      else
        gemm_pack_b(e.transpose_b ? B + n * e.ldb : B + n, e.ldb, e.transpose_b, k, kb, nb, b_room);
      const float* next = nullptr;
      if (packed && blocks.n == panel && !(last && n + nb == e.N)) next = next_panel(e, *packed, n, last ? 0 : k + kb);
      for (std::int64_t m = 0; m < e.M; m += blocks.m) {
        const std::int64_t mb = std::min(blocks.m, e.M - m);
        float* c = C + m * e.ldc + n;
        BlockProduct product{e.transpose_a, {}, mb, nb, next};
        product.tile = {.units = units,
                        .b = b,
                        .panel_stride = units * panel,
                        .c = c,
                        .ldc = e.ldc,
                        .from_c = k > 0 || epilogue.accumulate,
                        .bias = last && epilogue.bias ? epilogue.bias + n : nullptr};
        set_rows(e, A, m, mb, k, kb, blocks, a_room, product.tile);
        // Tiles of nearly equal height: 8 rows are 4 and 4, not 6 and 2.
        std::int64_t tiles_left = (mb + tile_rows - 1) / tile_rows;
        for (std::int64_t row = 0, rows = 0; row < mb; row += rows, --tiles_left) {
          rows = (mb - row + tiles_left - 1) / tiles_left;
          compute_rows(product, row, rows);
          if (last)
            finish_rows(epilogue.activation, rows, nb, c + row * e.ldc,
                        epilogue.pre_activation ? epilogue.pre_activation + (m + row) * e.ldc + n : nullptr,
                        epilogue.residual ? epilogue.residual + (m + row) * e.ldc + n : nullptr, e.ldc);
        }
      }
    }
  }
}

std::int64_t gemm_panel() { return panel; }
