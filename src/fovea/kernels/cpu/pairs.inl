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

/// out[r] (+)= sum_c a[r,c] x[c], without the pairs that are 0; a[r,c] lies at a + r*a_row + c*a_column. The chain of
/// multiply-adds is that of gemm(), so finite operands give the same bits as there.
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

inline void scaled_product(std::int64_t count, float factor, const float* a, const float* b, float* out) {
  const Floats f = broadcast(factor);
  over_vectors(count, [&](std::int64_t i, auto lanes) {
    const Floats scaled = mul(lanes.read(a + i), f);
    lanes.write(out + i, b ? mul(scaled, lanes.read(b + i)) : scaled);
  });
}
