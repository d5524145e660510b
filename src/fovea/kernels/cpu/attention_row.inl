// Forward of one query at a time: what decoding does. Bound by reading keys and values, each row once; lanes
// = dimensions, then keys. Included by attention.inl.

inline constexpr std::int64_t row_keys = 2048;  // keys whose scores are held at a time

inline std::int64_t row_scratch(const AttentionExtents& x, std::int64_t most_keys) {
  return round_up(x.key_width) + round_up(x.value_width) + 64 + 2 * round_up(std::min(row_keys, most_keys));
}

// scores[i] = q . row(keys.begin + i), and no_score up to the next multiple of width. q is padded with zeros.
inline void row_scores(const AttentionHead& head, const float* q, const float* k, std::int64_t row_stride,
                       std::int64_t count, Interval keys, float* scores) {
  const std::int64_t n = keys.count();
  const int rest = static_cast<int>(count % width);
  for (std::int64_t j0 = 0; j0 < n; j0 += width) {
    const float* row[width];
    for (int i = 0; i < width; ++i)
      row[i] = k + head.key_row(keys.begin + std::min(j0 + i, n - 1)) * row_stride;
    Floats sums[width];
    FOVEA_UNROLL for (int i = 0; i < width; ++i) sums[i] = zero();
    std::int64_t d = 0;
    for (; d + width <= count; d += width) {
      const Floats x = load(q + d);
      FOVEA_UNROLL for (int i = 0; i < width; ++i) sums[i] = fma(x, load(row[i] + d), sums[i]);
    }
    if (rest) {
      const Floats x = load(q + d);
      FOVEA_UNROLL for (int i = 0; i < width; ++i) sums[i] = fma(x, load_first(row[i] + d, rest), sums[i]);
    }
    store(scores + j0, lane_sums(sums));
  }
  std::fill(scores + n, scores + round_up(n), no_score);
}

// out[:] = before * out[:] + sum_i p[i] row(keys.begin + i), V vectors of columns of which the last holds
// `last` floats; `before` = 0: out need not be set. Four keys at a time, each with sums of its own, so that
// additions need not wait for one another.
template <int V>
void row_mix(const AttentionHead& head, const float* p, const float* v, std::int64_t row_stride,
             Interval keys, float before, int last, float* out) {
  Floats sums[4][V];
  FOVEA_UNROLL for (int u = 0; u < 4; ++u) { FOVEA_UNROLL for (int i = 0; i < V; ++i) sums[u][i] = zero(); }
  const std::int64_t n = keys.count();
  std::int64_t j = 0;
  for (; j + 4 <= n; j += 4) {
    FOVEA_UNROLL for (int u = 0; u < 4; ++u) {
      const float* const row = v + head.key_row(keys.begin + j + u) * row_stride;
      const Floats x = broadcast(p[j + u]);
      FOVEA_UNROLL for (int i = 0; i < V - 1; ++i) sums[u][i] = fma(x, load(row + i * width), sums[u][i]);
      sums[u][V - 1] = fma(x, load_first(row + (V - 1) * width, last), sums[u][V - 1]);
    }
  }
  for (; j < n; ++j) {
    const float* const row = v + head.key_row(keys.begin + j) * row_stride;
    FOVEA_UNROLL for (int i = 0; i < V; ++i) sums[0][i] =
        fma(broadcast(p[j]), load_first(row + i * width, i == V - 1 ? last : width), sums[0][i]);
  }
  FOVEA_UNROLL for (int i = 0; i < V; ++i) {
    Floats sum = add(add(sums[0][i], sums[1][i]), add(sums[2][i], sums[3][i]));
    const int lanes = i == V - 1 ? last : width;
    if (before != 0.0f) sum = fma(broadcast(before), load_first(out + i * width, lanes), sum);
    store_first(out + i * width, sum, lanes);
  }
}

inline void row_mix_all(const AttentionHead& head, const float* p, const float* v, std::int64_t row_stride,
                        Interval keys, float before, std::int64_t columns, float* out) {
  for (std::int64_t e = 0; e < columns; e += 4 * width) {
    const int rest = static_cast<int>(std::min<std::int64_t>(columns - e, 4 * width));
    const int vectors = (rest + width - 1) / width, last = rest - (vectors - 1) * width;
    const auto mix = vectors == 4   ? &row_mix<4>
                     : vectors == 3 ? &row_mix<3>
                     : vectors == 2 ? &row_mix<2>
                                    : &row_mix<1>;
    mix(head, p, v + e, row_stride, keys, before, last, out + e);
  }
}

// One query over `row_keys` keys at a time, softmax online as in a block.
class ForwardRow {
 public:
  ForwardRow(const AttentionForward& call, const AttentionHead& head, std::int64_t t, float* scratch)
      : call_(call),
        x_(call.x),
        head_(head),
        t_(t),
        arena_(scratch),
        q_(arena_.take(round_up(x_.key_width))) {
    copy_row_padded(call.in.q + head.q + t * x_.q.row, x_.key_width, q_);
    for (std::int64_t d = 0; d < x_.key_width; d += width)
      store(q_ + d, mul(load(q_ + d), broadcast(x_.scale * log2_e)));
    p_ = arena_.take(round_up(std::min(row_keys, head.keys)));
    kept_ = arena_.take(round_up(std::min(row_keys, head.keys)));
  }

  void run() {
    const Interval seen = head_.visible(t_);
    float* const out = call_.out + head_.out + t_ * x_.out.row;
    if (seen.count() == 0) std::fill_n(out, x_.value_width, 0.0f);
    for (std::int64_t j = seen.begin; j < seen.end; j += row_keys)
      mix_in({j, std::min(j + row_keys, seen.end)}, j > seen.begin, out);
    const float inverse = seen.count() > 0 ? 1.0f / sum_ : 0.0f;
    for (std::int64_t e = 0; e < x_.value_width; ++e) out[e] *= inverse;
    if (!call_.log_sum_exp) return;
    float lse = no_score;
    if (seen.count() > 0)
      store_first(
          &lse, fma(broadcast(top_), broadcast(ln_2), fma(broadcast(sum_), zero(), log(broadcast(sum_)))), 1);
    call_.log_sum_exp[head_.h * call_.lse_stride + head_.query_row + t_] = lse;
  }

 private:
  void mix_in(Interval keys, bool again, float* out) {
    row_scores(head_, q_, call_.in.k + head_.k, x_.k.row, x_.key_width, keys, p_);
    Floats tops = broadcast(top_), sums = zero();
    for (std::int64_t i = 0; i < keys.count(); i += width) tops = max(tops, load(p_ + i));
    const float top = max_of(tops);
    for (std::int64_t i = 0; i < keys.count(); i += width) {
      const Floats weight = exp2(sub(load(p_ + i), broadcast(top)));
      sums = add(sums, weight);
      store(p_ + i, weight);
    }
    float rescale = 0.0f;
    if (again) store_first(&rescale, exp2(broadcast(top_ - top)), 1);
    sum_ = sum_ * rescale + sum(sums);
    top_ = top;
    if (x_.dropout.active()) {
      dropout_multipliers(call_.exec.kernels, x_.dropout,
                          head_.first_element + static_cast<std::uint64_t>(t_ * head_.keys + keys.begin),
                          keys.count(), kept_);
      for (std::int64_t i = 0; i < keys.count(); ++i) p_[i] *= kept_[i];
    }
    row_mix_all(head_, p_, call_.in.v + head_.v, x_.v.row, keys, rescale, x_.value_width, out);
  }

  const AttentionForward& call_;
  const AttentionExtents& x_;
  const AttentionHead& head_;
  std::int64_t t_;
  Arena arena_;
  float *q_, *p_, *kept_;
  float top_ = lowest, sum_ = 0.0f;
};

inline void forward_row(const AttentionForward& call, const AttentionHead& head, std::int64_t t,
                        float* scratch) {
  ForwardRow(call, head, t, scratch).run();
}
