// The gradient of queries alone: d_q = 4 v sum over keys of d_score (r - r^2), four keys at a time in the
// order of keys. Included by additive_attention.inl.

// sums[d] += over N factored keys.
template <int N>
void add_slopes(const float* q, const ScoreRow* k, const float* d_scores, std::int64_t padded, float* sums) {
  Floats d_score[N];
  FOVEA_UNROLL for (int i = 0; i < N; ++i) d_score[i] = broadcast(d_scores[i]);
  for (std::int64_t d = 0; d < padded; d += width) {
    Floats keys[N], r[N], slopes[N];
    FOVEA_UNROLL for (int i = 0; i < N; ++i) keys[i] = load(k[i].factors + d);
    reciprocals<N>(keys, load(q + d), r);
    FOVEA_UNROLL for (int i = 0; i < N; ++i) {
      const Floats with_r = mul(d_score[i], r[i]);
      slopes[i] = fnma(with_r, r[i], with_r);
    }
    store(sums + d, add(load(sums + d), sum_of<N>(slopes)));
  }
}

// A key that may lie beyond what factors can hold: the same by the sigmoid.
inline void add_exact_slope(const float* q, const float* k, float d_score, std::int64_t count, float* sums) {
  over_vectors(count, [&](std::int64_t d, auto lanes) {
    const Floats x = add(lanes.read(q + d), lanes.read(k + d));
    const Floats r = sigmoid(mul(broadcast(-2.0f), saturated(x))), with_r = mul(broadcast(d_score), r);
    lanes.write(sums + d, add(lanes.read(sums + d), fnma(with_r, r, with_r)));
  });
}

class QueryGradients {
 public:
  QueryGradients(const AdditiveQueryBackward& call, int worker)
      : call_(call), x_(call.x), row_(factor_row(x_.width)) {
    const std::int64_t keys = call.in.prepared ? 0 : std::max(factor_cache, key_block * row_);
    const std::int64_t padded = padded_width(x_.width), total = 2 * padded + row_ + keys;
    v_ = call.exec.workspace->get(worker, 3, static_cast<std::size_t>(total));
    sums_ = v_ + padded;
    q_factors_ = sums_ + padded;
    k_factors_ = q_factors_ + row_;
  }

  void run(const Share& share) {
    double at = 0.0;
    const float* d_scores = call_.d_scores;
    for (std::int64_t b = 0; b < x_.sequences; ++b)
      for (std::int64_t h = 0; h < x_.heads; ++h) {
        const AdditiveHead head(x_, call_.in, b, h);
        const double cost = additive_cost(head, 0, head.queries);
        if (share.owns(at, cost)) run(head, d_scores);
        at += cost;
        d_scores += head.queries * head.keys;
      }
  }

 private:
  void run(const AdditiveHead& head, const float* d_scores) {
    if (head.queries == 0) return;
    const ScoreVector v(head.in.v + head.h * x_.width, x_.width, v_);
    const float* const all = keeps_factors(x_, head.in, head.keys) ? k_factors_ : nullptr;
    for (std::int64_t j = 0; all && j < head.keys; ++j)
      make_factors(head.in.k + head.k(j), x_.width, k_factors_ + j * row_);
    for (std::int64_t t = 0; t < head.queries; ++t) {
      const ScoreRow q{head.in.q + head.q(t), q_factors_};
      make_factors(q.raw, x_.width, q_factors_);
      std::fill_n(sums_, v.padded, 0.0f);
      const KeySpan seen = head.seen(t);
      for (std::int64_t j0 = 0; j0 < head.keys; j0 += key_block) {
        const KeySpan span = seen.within(j0, std::min(key_block, head.keys - j0));
        if (span.empty()) continue;
        const KeyRows keys(head, j0, std::min(key_block, head.keys - j0), all, k_factors_);
        add_block(q, keys, span, v, d_scores + t * head.keys + j0);
      }
      float* const d_q = call_.d_q + head.q(t);
      over_vectors(x_.width, [&](std::int64_t d, auto lanes) {
        lanes.write(d_q + d, mul(mul(broadcast(4.0f), load(v.v + d)), lanes.read(sums_ + d)));
      });
    }
  }

  void add_block(const ScoreRow& q, const KeyRows& keys, KeySpan span, const ScoreVector& v,
                 const float* d_scores) {
    for (std::int64_t j = span.begin; j < span.end; j += 4) {
      const int n = static_cast<int>(std::min<std::int64_t>(4, span.end - j));
      const ScoreRow* const k = keys.rows + j;
      bool factored = true;
      for (int i = 0; i < n; ++i) factored = factored && v.factored(q.factors, k[i].factors);
      const auto add = n == 4   ? &add_slopes<4>
                       : n == 3 ? &add_slopes<3>
                       : n == 2 ? &add_slopes<2>
                                : &add_slopes<1>;
      if (factored) {
        add(q.factors, k, d_scores + j, v.padded, sums_);
        continue;
      }
      for (int i = 0; i < n; ++i) {
        if (v.factored(q.factors, k[i].factors))
          add_slopes<1>(q.factors, k + i, d_scores + j + i, v.padded, sums_);
        else
          add_exact_slope(q.raw, k[i].raw, d_scores[j + i], v.count, sums_);
      }
    }
  }

  const AdditiveQueryBackward& call_;
  const AdditiveExtents& x_;
  std::int64_t row_;
  float *v_, *sums_, *q_factors_, *k_factors_;
};
