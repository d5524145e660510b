// Units of attention in bf16 where the processor multiplies floats: a unit is one element, widened. Included
// by attention_bf16.inl.

inline constexpr int pair = 1;  // elements of a unit

inline Floats multiply_add(Floats a, Floats b, Floats c) { return fma(a, b, c); }

// Lanes of b whose factor is not 0.
inline Floats multiplied(float factor, Floats b) { return factor == 0.0f ? zero() : b; }

inline Floats weight_exp2(Floats v) { return exp2(v); }

// Elements as units, with zeros up to the next multiple of width.
inline void widen_row(const bfloat16* from, std::int64_t count, float* to) {
  for (std::int64_t e = 0; e < count; ++e) to[e] = static_cast<float>(from[e]);
  std::fill(to + count, to + round_up(count), 0.0f);
}
// Returns whether all are finite.
inline bool row_to_units(const bfloat16* from, std::int64_t count, float* to) {
  widen_row(from, count, to);
  std::uint16_t most = 0;
  for (std::int64_t e = 0; e < count; ++e)
    most = std::max(most, static_cast<std::uint16_t>(from[e].bits & 0x7f80));
  return most < 0x7f80;
}
inline void row_to_units(const float* from, std::int64_t count, float* to) {
  copy_row_padded(from, count, to);
}

// to = factor * row, rounded.
inline void round_row(const float* from, std::int64_t count, float factor, bfloat16* to) {
  for (std::int64_t e = 0; e < count; ++e) to[e] = bfloat16(factor * from[e]);
}

inline float dot_rows(const bfloat16* a, const bfloat16* b, std::int64_t count) {
  float sum = 0.0f;
  for (std::int64_t e = 0; e < count; ++e) sum += static_cast<float>(a[e]) * static_cast<float>(b[e]);
  return sum;
}

// Steps of a product from rows in units: `pair` rows become one.
inline void rows_to_step(const float* row, std::int64_t, std::int64_t columns, float* to) {
  copy_row(row, columns, to);
}

// Weights of one lane vector and `pair` keys, as a product reads them by queries and by keys; null: not
// wanted.
template <bool ByQuery, bool ByKey>
FOVEA_INLINE void store_weights(const Floats* p, float* by_query, float* by_key, std::int64_t) {
  if constexpr (ByQuery) store(by_query, p[0]);
  if constexpr (ByKey) store(by_key, p[0]);
}
