// Units of attention in bf16 where the processor multiplies pairs of bf16 into floats: a unit is two elements
// that a product multiplies at once, the first in the lower half. Units travel as floats, and only travel.
// Included by attention_bf16.inl.

inline constexpr int pair = 2;  // elements of a unit

inline Floats multiply_add(Floats a, Floats b, Floats c) {
  return {_mm512_dpbf16_ps(c.v, (__m512bh)a.v, (__m512bh)b.v)};
}

// Elements of b whose factor is not 0.
inline Floats multiplied(float factors, Floats b) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(factors);
  const std::uint32_t kept = ((bits & 0x7fff) ? 0xffffu : 0u) | ((bits & 0x7fff0000) ? 0xffff0000u : 0u);
  return {_mm512_and_ps(b.v, _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(kept))))};
}

// 2^v with a relative error below 7.5e-5, a 25th of what rounding a weight to bf16 costs; 0 for -infinity;
// else as exp2. Minimax polynomial of degree 3 for 2^r on [0, 1) (Remez); scalef takes the whole part of v
// itself.
inline Floats weight_exp2(Floats v) {
  const Floats r{_mm512_reduce_ps(v.v, _MM_FROUND_TO_NEG_INF)};
  Floats y = fma(broadcast(0.0780245227f), r, broadcast(0.226067155f));
  y = fma(y, r, broadcast(0.69583354f));
  return scale_by_power(fma(y, r, broadcast(0.999925219f)), v);
}

inline __mmask32 first_elements(std::int64_t n) { return n >= 32 ? ~__mmask32{0} : (__mmask32{1} << n) - 1; }
inline Floats as_floats(__m512i v) { return {_mm512_castsi512_ps(v)}; }
inline __m512i as_integers(Floats v) { return _mm512_castps_si512(v.v); }

inline void widen_row(const bfloat16* from, std::int64_t count, float* to) {
  for (std::int64_t e = 0; e < count; e += width) {
    const auto mask = static_cast<__mmask16>(first_elements(std::min<std::int64_t>(count - e, width)));
    const __m512i words = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from + e));
    store(to + e, as_floats(_mm512_slli_epi32(words, 16)));
  }
}

// Elements as units, with zeros up to the next multiple of width. Returns whether all are finite.
FOVEA_INLINE bool row_to_units(const bfloat16* from, std::int64_t count, float* to) {
  const __m512i exponent = _mm512_set1_epi16(0x7f80);
  __m512i most = _mm512_setzero_si512();
  const auto put = [&](__m512i words, std::int64_t e) {
    most = _mm512_max_epu16(most, _mm512_and_si512(words, exponent));
    store(to + e / 2, as_floats(words));
  };
  std::int64_t e = 0;
  for (; e + 2 * width <= count; e += 2 * width) put(_mm512_loadu_si512(from + e), e);
  if (e < count) put(_mm512_maskz_loadu_epi16(first_elements(count - e), from + e), e);
  return _mm512_cmpeq_epi16_mask(most, exponent) == 0;
}
inline void row_to_units(const float* from, std::int64_t count, float* to) {
  for (std::int64_t e = 0; e < count; e += 2 * width) {
    const auto part = [&](std::int64_t at) {
      const std::int64_t n = std::min<std::int64_t>(count - at, width);
      return n <= 0 ? zero() : n < width ? load_first(from + at, static_cast<int>(n)) : load(from + at);
    };
    const Floats low = part(e), high = part(e + width);
    store(to + e / 2, as_floats((__m512i)_mm512_cvtne2ps_pbh(high.v, low.v)));
  }
}

// to = factor * row, rounded.
inline void round_row(const float* from, std::int64_t count, float factor, bfloat16* to) {
  for (std::int64_t e = 0; e < count; e += width) {
    const std::int64_t n = std::min<std::int64_t>(count - e, width);
    const Floats row = n < width ? load_first(from + e, static_cast<int>(n)) : load(from + e);
    _mm256_mask_storeu_epi16(to + e, static_cast<__mmask16>(first_elements(n)),
                             (__m256i)_mm512_cvtneps_pbh(mul(row, broadcast(factor)).v));
  }
}

inline float dot_rows(const bfloat16* a, const bfloat16* b, std::int64_t count) {
  Floats sums = zero();
  for (std::int64_t e = 0; e < count; e += 2 * width) {
    const __mmask32 mask = first_elements(count - e);
    sums = multiply_add(as_floats(_mm512_maskz_loadu_epi16(mask, a + e)),
                        as_floats(_mm512_maskz_loadu_epi16(mask, b + e)), sums);
  }
  return sum(sums);
}

// Steps of a product from rows in units: two rows become one, element beside element.
inline void rows_to_step(const float* row, std::int64_t row_stride, std::int64_t columns, float* to) {
  const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7,
                                       38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
  for (std::int64_t e = 0; e < columns; e += 2 * width) {
    const __m512i first = as_integers(load(row + e / 2)),
                  second = as_integers(load(row + row_stride + e / 2));
    store(to + e, as_floats(_mm512_permutex2var_epi16(first, low, second)));
    if (e + width < columns) store(to + e + width, as_floats(_mm512_permutex2var_epi16(first, high, second)));
  }
}

// Weights of one lane vector and two keys, as a product reads them by queries (two keys a unit) and by keys
// (two queries a unit); null: not wanted.
template <bool ByQuery, bool ByKey>
FOVEA_INLINE void store_weights(const Floats* p, float* by_query, float* by_key, std::int64_t key_stride) {
  const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(p[1].v, p[0].v);
  if constexpr (ByQuery) {
    const __m512i beside = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
                                            7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    store(by_query, as_floats(_mm512_permutexvar_epi16(beside, both)));
  }
  if constexpr (ByKey) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(by_key), _mm512_castsi512_si256(both));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(by_key + key_stride), _mm512_extracti64x4_epi64(both, 1));
  }
}
