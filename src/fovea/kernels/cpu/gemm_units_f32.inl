// Units of the matrix product in f32: an element each. Included by gemm.inl.

inline constexpr int pair = 1;

inline void add_products(Floats& sum, Floats a, Floats b) { add_product(sum, a, b); }

// to[k][n] = from[n][k] for `rows` k and `columns` <= width n; the rest of each vector becomes 0.
inline void pack_transposed(const float* from, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                            float* to) {
  std::int64_t k = 0;
  if (columns == width)
    for (; k + width <= rows; k += width) transpose_square(from + k, stride, to + k * panel, panel);
  for (; k < rows; ++k)
    for (std::int64_t n = 0; n < width; ++n) to[k * panel + n] = n < columns ? from[n * stride + k] : 0.0f;
}

inline void pack_rows(const float* B, std::int64_t ldb, std::int64_t kb, std::int64_t nb, float* out) {
  for (std::int64_t k = 0; k < kb; ++k) {
    const float* from = B + k * ldb;
    const float* ahead = from + std::min(rows_ahead, kb - 1 - k) * ldb;
    float* to = out + k * panel;
    std::int64_t n = 0;
    for (; n + panel <= nb; n += panel, to += kb * panel)
      for (int v = 0; v < tile_vectors; ++v) {
        __builtin_prefetch(ahead + n + v * width);
        store(to + v * width, load(from + n + v * width));
      }
    for (; n < nb; n += width, to += width)
      store(to, load_first(from + n, static_cast<int>(std::min<std::int64_t>(width, nb - n))));
  }
}

void gemm_pack_b(const float* B, std::int64_t ldb, bool transpose_b, std::int64_t k0, std::int64_t kb,
                 std::int64_t nb, float* out) {
  if (!transpose_b) return pack_rows(B + k0 * ldb, ldb, kb, nb, out);
  for (std::int64_t n = 0; n < nb; n += width)
    pack_transposed(B + n * ldb + k0, ldb, kb, std::min<std::int64_t>(width, nb - n),
                    out + n / panel * panel * kb + n % panel);
}

// A is read in place unless it is transposed: a stride of many floats would touch a page each k.
constexpr bool copies_a(bool transposed) { return transposed; }

// Rows m .. m+mb-1, elements k0 .. k0+kb-1 of a transposed A, close together: [kb][stride].
inline std::int64_t copy_a(const GemmExtents& e, const float* A, std::int64_t m0, std::int64_t mb,
                           std::int64_t k0, std::int64_t kb, std::int64_t stride, float* out) {
  A += k0 * e.lda + m0;
  for (std::int64_t k = 0; k < kb; ++k) {
    const float* from = A + k * e.lda;
    const float* ahead = from + std::min(rows_ahead, kb - 1 - k) * e.lda;
    float* to = out + k * stride;
    std::int64_t m = 0;
    for (; m + width <= mb; m += width) {
      __builtin_prefetch(ahead + m);
      store(to + m, load(from + m));
    }
    const int rest = static_cast<int>(mb - m);
    if (rest > 0) store_first(to + m, load_first(from + m, rest), rest);
  }  return stride;
}
