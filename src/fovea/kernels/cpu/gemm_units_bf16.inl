// Units of the matrix product in bf16: two elements of K, the first in the lower half. Units travel as floats, and
// only travel. Included by gemm.inl.

inline constexpr int pair = 2;

inline void add_products(Floats& sum, Floats a, Floats b) {
  sum = {_mm512_dpbf16_ps(sum.v, (__m512bh)a.v, (__m512bh)b.v)};
}

inline Floats as_floats(__m512bh units) { return {(__m512)units}; }

// Unit i of {even[i], odd[i]}.
inline Floats paired(Floats even, Floats odd) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22,
                                         6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const auto halves = (__m512i)_mm512_cvtne2ps_pbh(odd.v, even.v);
  return {_mm512_castsi512_ps(_mm512_permutexvar_epi16(order, halves))};
}

// Floats from..from+count-1, any count: zeros beyond.
inline Floats load_some(const float* from, std::int64_t count) {
  if (count <= 0) return zero();
  return count < width ? load_first(from, static_cast<int>(count)) : load(from);
}

// Elements of a row as units, zeros up to the next multiple of width.
inline void row_to_units(const float* from, std::int64_t count, float* to) {
  for (std::int64_t k = 0; k < count; k += 2 * width) {
    const Floats low = load_some(from + k, count - k), high = load_some(from + k + width, count - k - width);
    store(to + k / 2, as_floats(_mm512_cvtne2ps_pbh(high.v, low.v)));
  }
}

// to[u][n] = units of from[n][..] for kb elements and `columns` <= width n; the rest of each vector becomes 0.
inline void pack_transposed(const float* from, std::int64_t stride, std::int64_t kb, std::int64_t columns,
                            float* to) {
  alignas(64) float units[width][width], turned[width][width];
  for (std::int64_t k = 0; k < kb; k += 2 * width, to += width * panel) {
    const std::int64_t count = std::min<std::int64_t>(2 * width, kb - k), rows = (count + 1) / 2;
    for (std::int64_t n = 0; n < width; ++n)
      row_to_units(from + n * stride + k, n < columns ? count : 0, units[n]);
    for (std::int64_t n = columns; n < width; ++n) store(units[n], zero());
    if (rows == width) {
      transpose_square(units[0], width, to, panel);
      continue;
    }
    transpose_square(units[0], width, turned[0], width);
    for (std::int64_t u = 0; u < rows; ++u) store(to + u * panel, load(turned[u]));
  }
}

// Rows k and k+1 of two, or k alone.
struct RowPair {
  const float *even, *odd;  // odd may be none

  RowPair(const float* rows, std::int64_t stride, std::int64_t k, std::int64_t count)
      : even(rows + k * stride), odd(k + 1 < count ? even + stride : nullptr) {}
  Floats units(std::int64_t n, std::int64_t count) const {
    return paired(load_some(even + n, count), odd ? load_some(odd + n, count) : zero());
  }
};

inline void pack_rows(const float* B, std::int64_t ldb, std::int64_t kb, std::int64_t nb, float* out) {
  const std::int64_t units = (kb + 1) / 2;
  for (std::int64_t u = 0; u < units; ++u) {
    const RowPair rows(B, ldb, 2 * u, kb);
    const std::int64_t ahead = std::min(rows_ahead, kb - 1 - 2 * u) * ldb;
    for (std::int64_t n = 0; n < nb; n += width) {
      __builtin_prefetch(rows.even + ahead + n);
      if (rows.odd) __builtin_prefetch(rows.even + std::max(ahead - ldb, std::int64_t{0}) + n);
      store(out + (n / panel * units + u) * panel + n % panel, rows.units(n, nb - n));
    }
  }
}

void gemm_pack_b(const float* B, std::int64_t ldb, bool transpose_b, std::int64_t k0, std::int64_t kb,
                 std::int64_t nb, float* out) {
  if (!transpose_b) return pack_rows(B + k0 * ldb, ldb, kb, nb, out);
  for (std::int64_t n = 0; n < nb; n += width)
    pack_transposed(B + n * ldb + k0, ldb, kb, std::min<std::int64_t>(width, nb - n),
                    out + n / panel * panel * ((kb + 1) / 2) + n % panel);
}

constexpr bool copies_a(bool) { return true; }

// Rows m0 .. m0+mb-1, elements k0 .. k0+kb-1 of op(A) as units: [mb][stride], or [units][stride] if A is
// transposed. Returns the stride.
inline std::int64_t copy_a(const GemmExtents& e, const float* A, std::int64_t m0, std::int64_t mb,
                           std::int64_t k0, std::int64_t kb, std::int64_t most_rows, float* out) {
  if (!e.transpose_a) {
    const std::int64_t stride = ((kb + 1) / 2 + width - 1) / width * width;
    for (std::int64_t m = 0; m < mb; ++m) row_to_units(A + (m0 + m) * e.lda + k0, kb, out + m * stride);
    return stride;
  }
  A += k0 * e.lda + m0;
  for (std::int64_t k = 0; k < kb; k += 2, out += most_rows) {
    const RowPair rows(A, e.lda, k, kb);
    const std::int64_t ahead = std::min(rows_ahead, kb - 1 - k) * e.lda;
    for (std::int64_t m = 0; m < mb; m += width) {
      __builtin_prefetch(rows.even + ahead + m);
      if (rows.odd) __builtin_prefetch(rows.even + std::max(ahead - e.lda, std::int64_t{0}) + m);
      store(out + m, rows.units(m, mb - m));
    }
  }
  return most_rows;
}
