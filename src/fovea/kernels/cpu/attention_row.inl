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
  ForwardRow(const AttentionForward& call, float* scratch) : call_(call), x_(call.x) {
    const std::int64_t keys = round_up(std::min(row_keys, most_keys(x_)));
    Arena arena(scratch);
    q_ = arena.take(round_up(x_.key_width));
    p_ = arena.take(keys);
    kept_ = arena.take(keys);
  }

  void run(const AttentionHead& head, std::int64_t t) {
    const Interval seen = head.visible(t);
    float* const out = call_.out + head.out + t * x_.out.row;
    top_ = lowest;
    sum_ = 0.0f;
    if (seen.count() == 0) {
      std::fill_n(out, x_.value_width, 0.0f);
    } else {
      read_query(call_.in.q + head.q + t * x_.q.row);
      for (std::int64_t j = seen.begin; j < seen.end; j += row_keys)
        mix_in(head, t, {j, std::min(j + row_keys, seen.end)}, seen, out);
    }
    if (!call_.log_sum_exp) return;
    float lse = no_score;
    if (seen.count() > 0)
      store_first(
          &lse, fma(broadcast(top_), broadcast(ln_2), fma(broadcast(sum_), zero(), log(broadcast(sum_)))), 1);
    call_.log_sum_exp[head.h * call_.lse_stride + head.query_row + t] = lse;
  }

 private:
  void read_query(const float* q) {
    const Floats factor = broadcast(x_.scale * log2_e);
    std::int64_t d = 0;
    for (; d + width <= x_.key_width; d += width) store(q_ + d, mul(load(q + d), factor));
    if (d < x_.key_width)
      store(q_ + d, mul(load_first(q + d, static_cast<int>(x_.key_width - d)), factor));
  }

  void mix_in(const AttentionHead& head, std::int64_t t, Interval keys, Interval seen, float* out) {
    const bool again = keys.begin > seen.begin, last = keys.end == seen.end;
    row_scores(head, q_, call_.in.k + head.k, x_.k.row, x_.key_width, keys, p_);
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
                          head.first_element + static_cast<std::uint64_t>(t * head.keys + keys.begin),
                          keys.count(), kept_);
      for (std::int64_t i = 0; i < keys.count(); ++i) p_[i] *= kept_[i];
    }
    if (last) {  // divides by the sum on the way
      const float inverse = 1.0f / sum_;
      for (std::int64_t i = 0; i < keys.count(); i += width)
        store(p_ + i, mul(load(p_ + i), broadcast(inverse)));
      rescale *= inverse;
    }
    row_mix_all(head, p_, call_.in.v + head.v, x_.v.row, keys, rescale, x_.value_width, out);
  }

  const AttentionForward& call_;
  const AttentionExtents& x_;
  float *q_, *p_, *kept_;
  float top_ = lowest, sum_ = 0.0f;
};

// Whether a call is a decoder's step: one query a sequence, and nothing that decides but scores. Such rows go
// by one at a time anyway (cut_queries), and here without a plan: few keys leave no time for one.
inline bool is_step(const AttentionForward& call) {
  const AttentionExtents& x = call.x;
  if (width == 1 || edits_scores(x, call.in) || call.in.sinks || x.rotary.active()) return false;
  return std::all_of(x.q_count, x.q_count + x.sequences, [](std::int64_t count) { return count == 1; });
}

inline void forward_step(const AttentionForward& call) {
  const AttentionExtents& x = call.x;
  const std::int64_t keys = std::accumulate(x.k_count, x.k_count + x.sequences, std::int64_t{0});
  const auto cost = static_cast<double>(x.heads) *
                    static_cast<double>(keys * (x.key_width + x.value_width + 20) + 1000 * x.sequences);
  const int workers = workers_for(call.exec, cost);
  const auto scratch = static_cast<std::size_t>(row_scratch(x, most_keys(x)));
  run_workers(call.exec, workers, [&](int worker) {
    ForwardRow row(call, call.exec.workspace->get(worker, 3, scratch));
    const std::int64_t end = x.sequences * (worker + 1) / workers;
    for (std::int64_t b = x.sequences * worker / workers; b < end; ++b)
      for (AttentionHead head(x, b, 0); head.h < x.heads; head.next(x)) row.run(head, 0);
  });
}
