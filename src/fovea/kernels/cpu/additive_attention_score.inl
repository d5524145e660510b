// Scores of additive attention: sums over lanes of v tanh(q + k), four keys at a time. A score is a function
// of its two rows and v alone, whatever tile it is computed in. Included by additive_attention.inl.

inline constexpr std::int64_t key_block = 128;

// The largest |x| of what is added; infinity if something of it is not finite.
struct Magnitudes {
  Floats most = zero(), least = zero(), broken = zero();
  void add(Floats x) {
    most = max(most, x);
    least = min(least, x);
    broken = fma(x, zero(), broken);  // NaN of infinity and of NaN
  }
  float largest() const {
    return sum(broken) == 0.0f ? max_of(max(most, sub(zero(), least)))
                               : std::numeric_limits<float>::infinity();
  }
};

// e^{2x}, relative error below 1.2e-7, for |x| <= factored_limit; beyond, nobody uses it. e^{2x} = 2^n e^{2r}
// with |r| <= ln2/4, as exp in simd.h but for what it does at the ends; minimax polynomial of degree 6.
inline Floats exp_of_twice(Floats v) {
  const Floats x = min(broadcast(factored_limit), max(broadcast(-factored_limit), v));
  const Floats n = round(mul(x, broadcast(2.88539008f)));
  const Floats r = fnma(n, broadcast(-1.06097220e-4f), fnma(n, broadcast(0.3466796875f), x));
  Floats y = broadcast(8.855581683e-02f);
  y = fma(y, r, broadcast(2.679940994e-01f));
  y = fma(y, r, broadcast(6.666916171e-01f));
  y = fma(y, r, broadcast(1.333313581e+00f));
  y = fma(y, r, broadcast(1.999999630e+00f));
  y = fma(y, r, broadcast(2.000000006e+00f));
  return scale_by_power(fma(y, r, broadcast(1.0f)), n);
}

// See additive_attention_plan.h.
void make_factors(const float* row, std::int64_t count, float* to) {
  const std::int64_t padded = padded_width(count);
  Magnitudes magnitudes;
  over_vectors(count, [&](std::int64_t d, auto lanes) {
    const Floats x = lanes.read(row + d);
    magnitudes.add(x);
    store(to + d, exp_of_twice(x));
  });
  for (std::int64_t d = (count + width - 1) / width * width; d < padded; d += width)
    store(to + d, broadcast(1.0f));
  to[padded] = magnitudes.largest();
}

// v with zeros to whole vectors.
struct ScoreVector {
  const float* v;
  std::int64_t count, padded;
  Floats lanes;  // sum of v's vectors
  float limit;   // of |q| + |k|

  ScoreVector(const float* from, std::int64_t n, float* scratch)
      : v(scratch), count(n), padded(padded_width(n)), lanes(zero()) {
    std::copy_n(from, n, scratch);
    std::fill(scratch + n, scratch + padded, 0.0f);
    Magnitudes magnitudes;
    for (std::int64_t d = 0; d < padded; d += width) {
      lanes = add(lanes, load(v + d));
      magnitudes.add(load(v + d));
    }
    // Larger ones would overflow when multiplied with a denominator: then never factored.
    limit = magnitudes.largest() < 1e18f ? factored_limit : -1.0f;
  }
  float largest(const float* factors) const { return factors[padded]; }
  bool factored(const float* q_factors, const float* k_factors) const {
    return largest(q_factors) + largest(k_factors) < limit;
  }
};

// A row of q or k: as given, and as factors.
struct ScoreRow {
  const float *raw, *factors;
};

// sums[i]: over lanes, sum_d v tanh(q + k_i) = sum_d v - 2 sum_d v / (1 + e^{2q} e^{2 k_i}), two quotients in
// one division.
template <int N>
void factored_sums(const float* q, const ScoreRow* k, const ScoreVector& v, Floats* sums) {
  const Floats one = broadcast(1.0f);
  Floats total[N];
  FOVEA_UNROLL for (int i = 0; i < N; ++i) total[i] = zero();
  std::int64_t d = 0;
  for (; d + 2 * width <= v.padded; d += 2 * width) {
    const Floats q1 = load(q + d), q2 = load(q + d + width), v1 = load(v.v + d), v2 = load(v.v + d + width);
    FOVEA_UNROLL for (int i = 0; i < N; ++i) {
      const Floats x1 = fma(q1, load(k[i].factors + d), one);
      const Floats x2 = fma(q2, load(k[i].factors + d + width), one);
      total[i] = add(total[i], div(fma(v2, x1, mul(v1, x2)), mul(x1, x2)));
    }
  }
  if (d < v.padded) {
    const Floats q1 = load(q + d), v1 = load(v.v + d);
    FOVEA_UNROLL for (int i = 0; i < N; ++i) total[i] =
        add(total[i], div(v1, fma(q1, load(k[i].factors + d), one)));
  }
  FOVEA_UNROLL for (int i = 0; i < N; ++i) sums[i] = fnma(broadcast(2.0f), total[i], v.lanes);
}

// Where tanh no longer changes, and e^{2x} is neither infinite nor too small to be normal. NaN stays.
inline Floats saturated(Floats x) { return min(broadcast(40.0f), max(broadcast(-40.0f), x)); }

inline Floats exact_sum(const float* q, const float* k, const ScoreVector& v) {
  Floats total = zero();
  over_vectors(v.count, [&](std::int64_t d, auto lanes) {
    total = fma(load(v.v + d), tanh(saturated(add(lanes.read(q + d), lanes.read(k + d)))), total);
  });
  return total;
}

// sums of n <= 4 keys.
inline void score_quad(const ScoreRow& q, const ScoreRow* k, int n, const ScoreVector& v, Floats* sums) {
  bool factored = true;
  for (int i = 0; i < n; ++i) factored = factored && v.factored(q.factors, k[i].factors);
  if (factored && n == 4) return factored_sums<4>(q.factors, k, v, sums);
  if (factored && n == 3) return factored_sums<3>(q.factors, k, v, sums);
  if (factored && n == 2) return factored_sums<2>(q.factors, k, v, sums);
  for (int i = 0; i < n; ++i) {
    if (v.factored(q.factors, k[i].factors))
      factored_sums<1>(q.factors, k + i, v, sums + i);
    else
      sums[i] = exact_sum(q.raw, k[i].raw, v);
  }
}

// Adds up lanes for as many groups of four sums at once as a vector holds.
class LaneSums {
 public:
  LaneSums() { std::fill_n(sums_, width, zero()); }

  // Where four sums go, of which n end up in to[0 .. n-1].
  Floats* next(float* to, int n) {
    if (used_ == groups) finish();
    to_[used_] = to;
    count_[used_] = n;
    return sums_ + 4 * used_++;
  }
  void finish() {
    alignas(64) float totals[width];
    store(totals, lane_sums(sums_));
    for (int i = 0; i < used_; ++i) std::copy_n(totals + 4 * i, count_[i], to_[i]);
    used_ = 0;
  }

 private:
  static constexpr int groups = width / 4;
  Floats sums_[width];
  float* to_[groups];
  int count_[groups];
  int used_ = 0;
};

// to[t*stride + j] = quad's sums, for queries t < nq and the groups of four keys of which they see one.
template <class Quad>
void over_quads(const KeySpan* seen, std::int64_t nq, std::int64_t nk, float* to, std::int64_t stride,
                const Quad& quad) {
  LaneSums sums;
  for (std::int64_t j = 0; j < nk; j += 4) {
    const int n = static_cast<int>(std::min<std::int64_t>(4, nk - j));
    for (std::int64_t t = 0; t < nq; ++t)
      if (seen[t].meets(j, j + n)) quad(t, j, n, sums.next(to + t * stride + j, n));
  }
  sums.finish();
}

// to[t*stride + j] = x[t] . rows[j], for tiles of four keys and a vector's worth of pairs of which one is
// seen.
inline void dots(const KeySpan* seen, const float* const* x, std::int64_t nq, const float* const* rows,
                 std::int64_t nk, std::int64_t count, float* to, std::int64_t stride) {
  constexpr int tall = width / 4;
  for (std::int64_t j = 0; j < nk; j += 4)
    for (std::int64_t t = 0; t < nq; t += tall) {
      const int keys = static_cast<int>(std::min<std::int64_t>(4, nk - j));
      const int queries = static_cast<int>(std::min<std::int64_t>(tall, nq - t));
      if (!KeySpan{seen[t].begin, seen[t + queries - 1].end}.meets(j, j + keys)) continue;
      const float *a[tall], *b[4];
      for (int i = 0; i < tall; ++i) a[i] = x[t + std::min(i, queries - 1)];
      for (int i = 0; i < 4; ++i) b[i] = rows[j + std::min(i, keys - 1)];
      Floats sums[width];
      FOVEA_UNROLL for (int i = 0; i < width; ++i) sums[i] = zero();
      over_vectors(count, [&](std::int64_t e, auto lanes) {
        Floats key[4];
        FOVEA_UNROLL for (int i = 0; i < 4; ++i) key[i] = lanes.read(b[i] + e);
        FOVEA_UNROLL for (int q = 0; q < tall; ++q) {
          const Floats query = lanes.read(a[q] + e);
          FOVEA_UNROLL for (int i = 0; i < 4; ++i) sums[4 * q + i] = fma(query, key[i], sums[4 * q + i]);
        }
      });
      alignas(64) float totals[width];
      store(totals, lane_sums(sums));
      for (int q = 0; q < queries; ++q) std::copy_n(totals + 4 * q, keys, to + (t + q) * stride + j);
    }
}

// Queries and keys in rectangles that all of a group's queries see, and row by row what only some do.
template <class Rectangle, class Row>
void over_spans(const KeySpan* seen, std::int64_t nq, std::int64_t group, const Rectangle& rectangle,
                const Row& row) {
  for (std::int64_t t0 = 0; t0 < nq; t0 += group) {
    const std::int64_t t1 = std::min(t0 + group, nq);
    KeySpan common{seen[t1 - 1].begin, seen[t0].end};
    for (std::int64_t t = t0; t < t1; ++t)
      if (seen[t].empty()) common = {};
    if (!common.empty()) rectangle(t0, t1, common);
    for (std::int64_t t = t0; t < t1; ++t) {
      const KeySpan s = seen[t];
      if (common.empty()) {
        if (!s.empty()) row(t, s);
        continue;
      }
      if (s.begin < common.begin) row(t, KeySpan{s.begin, common.begin});
      if (common.end < s.end) row(t, KeySpan{common.end, s.end});
    }
  }
}

// Rows of a block of keys.
struct KeyRows {
  std::int64_t first = 0, count = 0;
  ScoreRow rows[key_block];

  // Factors come from prepared keys, from `all` of the head's, or are made in `scratch`.
  KeyRows(const AdditiveHead& head, std::int64_t j0, std::int64_t n, const float* all, float* scratch)
      : first(j0), count(n) {
    const std::int64_t row = factor_row(head.x.width);
    for (std::int64_t i = 0; i < n; ++i) {
      rows[i].raw = head.in.k + head.k(j0 + i);
      if (head.in.prepared) {
        rows[i].factors = head.in.prepared + head.prepared(j0 + i);
      } else if (all) {
        rows[i].factors = all + (j0 + i) * row;
      } else {
        make_factors(rows[i].raw, head.x.width, scratch + i * row);
        rows[i].factors = scratch + i * row;
      }
    }
  }
};

// Where a head's factors of keys are kept while they fit here, for all its blocks of queries.
inline constexpr std::int64_t factor_cache = std::int64_t{1} << 18;
inline bool keeps_factors(const AdditiveExtents& x, const AdditiveInputs& in, std::int64_t keys) {
  return !in.prepared && keys * factor_row(x.width) <= factor_cache;
}
