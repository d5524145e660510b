// The derivative of scores, for one vector of columns d and a block of keys. With r = 1 / (1 + e^{2(q+k)}):
//   tanh = 1 - 2r,  tanh' = 4 (r - r^2);  what is summed here is d_score (r - r^2) for q and k, d_score r for
//   v
// Included by additive_attention.inl.

// One vector of columns of a block of keys, side by side: factors in, sums of gradients in and out.
struct KeyColumns {
  alignas(64) float factors[key_block * width];
  alignas(64) float sums[key_block * width];
};

// r of N pairs that share a vector of factors of keys; every second pair shares a division with the next.
template <int N>
FOVEA_INLINE void reciprocals(const Floats* q, Floats k, Floats* r) {
  constexpr int alone = N == 4 ? 2 : N % 2;  // what keeps the divider as busy as the multipliers
  const Floats one = broadcast(1.0f);
  FOVEA_UNROLL for (int i = 0; i < alone; ++i) r[i] = div(one, fma(q[i], k, one));
  FOVEA_UNROLL for (int i = alone; i < N; i += 2) {
    const Floats x1 = fma(q[i], k, one), x2 = fma(q[i + 1], k, one), y = div(one, mul(x1, x2));
    r[i] = mul(y, x2);
    r[i + 1] = mul(y, x1);
  }
}

template <int N>
FOVEA_INLINE Floats sum_of(const Floats* x) {
  if constexpr (N == 4)
    return add(add(x[0], x[1]), add(x[2], x[3]));
  else if constexpr (N == 3)
    return add(add(x[0], x[1]), x[2]);
  else if constexpr (N == 2)
    return add(x[0], x[1]);
  else
    return x[0];
}

// N queries, one after another, by keys [begin, end) of the block; all factored.
struct QueryColumns {
  const float* factors;  // of this vector of columns: query i at factors + i*row
  float* sums;
  std::int64_t row;
  const float* d_scores;  // query i at d_scores + i*stride
  std::int64_t stride;
};

template <int N>
void factored_gradient(QueryColumns queries, KeySpan keys, KeyColumns& columns, float* v_sums) {
  Floats q[N], d_q[N], d_v = load(v_sums);
  FOVEA_UNROLL for (int i = 0; i < N; ++i) {
    q[i] = load(queries.factors + i * queries.row);
    d_q[i] = load(queries.sums + i * queries.row);
  }
  for (std::int64_t j = keys.begin; j < keys.end; ++j) {
    Floats r[N], with_r[N], with_slope[N];
    reciprocals<N>(q, load(columns.factors + j * width), r);
    FOVEA_UNROLL for (int i = 0; i < N; ++i) {
      with_r[i] = mul(broadcast(queries.d_scores[i * queries.stride + j]), r[i]);
      with_slope[i] = fnma(with_r[i], r[i], with_r[i]);
      d_q[i] = add(d_q[i], with_slope[i]);
    }
    d_v = add(d_v, sum_of<N>(with_r));
    float* const d_k = columns.sums + j * width;
    store(d_k, add(load(d_k), sum_of<N>(with_slope)));
  }
  FOVEA_UNROLL for (int i = 0; i < N; ++i) store(queries.sums + i * queries.row, d_q[i]);
  store(v_sums, d_v);
}

// One query by keys of which any may lie beyond what factors can hold. `raw` vectors have `lanes` floats.
inline void careful_gradient(QueryColumns query, const ScoreRow& q, const KeyRows& rows, std::int64_t d,
                             int lanes, const ScoreVector& v, KeySpan keys, KeyColumns& columns,
                             float* v_sums) {
  Floats d_q = load(query.sums), d_v = load(v_sums);
  const Floats factors = load(query.factors), one = broadcast(1.0f);
  for (std::int64_t j = keys.begin; j < keys.end; ++j) {
    Floats r;
    if (v.factored(q.factors, rows.rows[j].factors)) {
      r = div(one, fma(factors, load(columns.factors + j * width), one));
    } else {
      const Floats x = add(load_first(q.raw + d, lanes), load_first(rows.rows[j].raw + d, lanes));
      r = sigmoid(mul(broadcast(-2.0f), saturated(x)));
    }
    const Floats with_r = mul(broadcast(query.d_scores[j]), r), with_slope = fnma(with_r, r, with_r);
    d_q = add(d_q, with_slope);
    d_v = add(d_v, with_r);
    float* const d_k = columns.sums + j * width;
    store(d_k, add(load(d_k), with_slope));
  }
  store(query.sums, d_q);
  store(v_sums, d_v);
}
