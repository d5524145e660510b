// Forward of a block of queries of a head: scores by tiles of query_block x key_block, softmax online over
// the blocks of keys (Milakov and Gimelshein 2018), sums of values. Included by additive_attention.inl.

inline constexpr std::int64_t query_block = 32, long_query_block = 64;

// Blocks are longer where factors of keys have to be made for each of them.
inline std::int64_t queries_at_once(const AdditiveExtents& x, const AdditiveInputs& in, std::int64_t keys) {
  return in.prepared || keeps_factors(x, in, keys) ? query_block : long_query_block;
}

struct RowState {
  float largest = -3e38f, sum = 0.0f, rescale = 1.0f;
  float inverse() const { return sum == 0.0f ? 0.0f : 1.0f / sum; }  // of a NaN: NaN
};

// n scores become exp(score - largest so far).
inline void softmax_row(float* scores, std::int64_t n, RowState& state) {
  const Floats lowest = broadcast(-3e38f);
  Floats tops = lowest;
  over_vectors(n, [&](std::int64_t j, auto lanes) { tops = max(tops, lanes.read(scores + j, lowest)); });
  const float before = state.largest;
  state.largest = std::max(before, max_of(tops));
  const Floats top = broadcast(state.largest);
  Floats total = zero();
  over_vectors(n, [&](std::int64_t j, auto lanes) {
    const Floats p = exp(sub(lanes.read(scores + j), top));
    total = add(total, lanes.keep(p));
    lanes.write(scores + j, p);
  });
  float rescale[width];
  store(rescale, exp(sub(broadcast(before), top)));
  state.rescale = rescale[0];
  state.sum = state.sum * state.rescale + sum(total);
}

inline void scale_row(float* row, std::int64_t count, float factor) {
  over_vectors(count, [&](std::int64_t e, auto lanes) {
    lanes.write(row + e, mul(lanes.read(row + e), broadcast(factor)));
  });
}

class ForwardWorker {
 public:
  ForwardWorker(const AdditiveForward& call, int worker)
      : call_(call), x_(call.x), row_(factor_row(x_.width)) {
    const std::int64_t tile = long_query_block * key_block;
    const std::int64_t kept = x_.dropout.active() ? tile : 0;
    const std::int64_t keys = call.in.prepared ? 0 : std::max(factor_cache, key_block * row_);
    const std::int64_t v = padded_width(x_.width), total = v + long_query_block * row_ + tile + kept + keys;
    float* const scratch = call.exec.workspace->get(worker, 3, static_cast<std::size_t>(total));
    vector_ = scratch;
    q_factors_ = vector_ + v;
    tile_ = q_factors_ + long_query_block * row_;
    kept_ = tile_ + tile;
    k_factors_ = kept_ + kept;
  }

  // `pairs` are the head's, if asked for.
  void run(const AdditiveHead& head, std::int64_t t0, std::int64_t t1, float* pairs) {
    begin_head(head);
    const ScoreVector v(head.in.v + head.h * x_.width, x_.width, vector_);
    const KeySpan span = head.seen(t0, t1);
    for (std::int64_t t = t0; t < t1; ++t) {
      queries_[t - t0] = {head.in.q + head.q(t), q_factors_ + (t - t0) * row_};
      if (!span.empty()) make_factors(queries_[t - t0].raw, x_.width, q_factors_ + (t - t0) * row_);
    }
    if (call_.result == AdditiveResult::context)
      context(head, t0, t1, v, span);
    else
      write_pairs(head, t0, t1, v, pairs);
  }

 private:
  void begin_head(const AdditiveHead& head) {
    if (head.b == b_ && head.h == h_) return;
    b_ = head.b, h_ = head.h;
    all_ = nullptr;
    if (!keeps_factors(x_, head.in, head.keys)) return;
    for (std::int64_t j = 0; j < head.keys; ++j)
      make_factors(head.in.k + head.k(j), x_.width, k_factors_ + j * row_);
    all_ = k_factors_;
  }

  // Scores of a block of keys, where seen. The spans are left in seen_.
  void scores(const AdditiveHead& head, std::int64_t t0, std::int64_t t1, const ScoreVector& v,
              const KeyRows& keys, float* to, std::int64_t stride) {
    for (std::int64_t t = t0; t < t1; ++t) seen_[t - t0] = head.seen(t).within(keys.first, keys.count);
    over_quads(seen_, t1 - t0, keys.count, to, stride,
               [&](std::int64_t t, std::int64_t j, int n, Floats* sums) {
                 score_quad(queries_[t], keys.rows + j, n, v, sums);
               });
  }

  void context(const AdditiveHead& head, std::int64_t t0, std::int64_t t1, const ScoreVector& v,
               KeySpan span) {
    const std::int64_t nq = t1 - t0;
    std::fill_n(states_, nq, RowState{});
    float* const out = call_.out + head.out(t0);
    std::int64_t j0 = span.begin / key_block * key_block;
    const bool single = span.end - j0 <= key_block;
    if (!single || span.empty())
      for (std::int64_t t = 0; t < nq; ++t) std::fill_n(out + t * x_.out.row, x_.value_width, 0.0f);
    for (; j0 < span.end && !span.empty(); j0 += key_block) {
      const KeyRows keys(head, j0, std::min(key_block, head.keys - j0), all_, k_factors_);
      scores(head, t0, t1, v, keys, tile_, key_block);
      for (std::int64_t t = 0; t < nq; ++t) {
        const std::int64_t n = seen_[t].end - seen_[t].begin;
        float* const p = tile_ + t * key_block + seen_[t].begin;
        if (n > 0) softmax_row(p, n, states_[t]);
        if (single) scale_row(p, n, states_[t].inverse());
        if (!single && n > 0) scale_row(out + t * x_.out.row, x_.value_width, states_[t].rescale);
      }
      if (x_.dropout.active()) drop(head, t0, nq, j0, keys.count);
      add_values(head, nq, keys, out, !single);
    }
    for (std::int64_t t = 0; t < nq; ++t) {
      if (!single) scale_row(out + t * x_.out.row, x_.value_width, states_[t].inverse());
      if (call_.log_sum_exp)
        call_.log_sum_exp[head.lse(t0 + t, call_.lse_stride)] = states_[t].largest + std::log(states_[t].sum);
    }
  }

  void drop(const AdditiveHead& head, std::int64_t t0, std::int64_t nq, std::int64_t j0, std::int64_t n) {
    const bool dense = n == head.keys;  // rows of multipliers lie side by side: all in one go
    if (dense) dropout_multipliers(x_.dropout, head.dropout_element(t0, 0), nq * n, kept_);
    for (std::int64_t t = 0; t < nq; ++t) {
      float* const kept = dense ? kept_ + t * n : kept_;
      if (!dense) dropout_multipliers(x_.dropout, head.dropout_element(t0 + t, j0), n, kept);
      float* const p = tile_ + t * key_block;
      over_vectors(n, [&](std::int64_t j, auto lanes) {
        lanes.write(p + j, mul(lanes.read(p + j), lanes.read(kept + j)));
      });
    }
  }

  // out (+)= weights of the tile times values. Rows that see nothing of the block are zeroed, unless added
  // to.
  void add_values(const AdditiveHead& head, std::int64_t nq, const KeyRows& keys, float* out,
                  bool accumulate) {
    const float* values[key_block];
    for (std::int64_t j = 0; j < keys.count; ++j) values[j] = head.in.value + head.value(keys.first + j);
    const bool same = seen_[0].begin == seen_[nq - 1].begin && seen_[0].end == seen_[nq - 1].end;
    if (!same && !accumulate)
      for (std::int64_t t = 0; t < nq; ++t) std::fill_n(out + t * x_.out.row, x_.value_width, 0.0f);
    const auto product = [&](std::int64_t t, std::int64_t rows, KeySpan span) {
      mix({.a = tile_ + t * key_block + span.begin,
           .a_row = key_block,
           .a_step = 1,
           .b = values + span.begin,
           .c = out + t * x_.out.row,
           .c_row = x_.out.row,
           .n = span.end - span.begin,
           .accumulate = accumulate || !same},
          rows, 0, x_.value_width);
    };
    over_spans(
        seen_, nq, same ? nq : 12, [&](std::int64_t a, std::int64_t b, KeySpan s) { product(a, b - a, s); },
        [&](std::int64_t t, KeySpan s) { product(t, 1, s); });
  }

  void write_pairs(const AdditiveHead& head, std::int64_t t0, std::int64_t t1, const ScoreVector& v,
                   float* pairs) {
    const bool weights = call_.result == AdditiveResult::weights;
    const float hidden = weights ? 0.0f : -std::numeric_limits<float>::infinity();
    for (std::int64_t j0 = 0; j0 < head.keys; j0 += key_block) {
      const KeyRows keys(head, j0, std::min(key_block, head.keys - j0), all_, k_factors_);
      float* const to = pairs + t0 * head.keys + j0;
      scores(head, t0, t1, v, keys, to, head.keys);
      for (std::int64_t t = 0; t < t1 - t0; ++t) {
        float* const row = to + t * head.keys;
        const KeySpan seen = seen_[t];
        std::fill(row, row + seen.begin, hidden);
        std::fill(row + seen.end, row + keys.count, hidden);
        if (!weights) continue;
        const Floats lse = broadcast(call_.log_sum_exp[head.lse(t0 + t, call_.lse_stride)]);
        over_vectors(seen.end - seen.begin, [&](std::int64_t j, auto lanes) {
          float* const p = row + seen.begin + j;
          lanes.write(p, exp(sub(lanes.read(p), lse)));
        });
      }
    }
  }

  const AdditiveForward& call_;
  const AdditiveExtents& x_;
  std::int64_t row_, b_ = -1, h_ = -1;
  float *vector_, *q_factors_, *tile_, *kept_, *k_factors_;
  const float* all_ = nullptr;  // factors of the head's keys, if kept
  ScoreRow queries_[long_query_block];
  KeySpan seen_[long_query_block];
  RowState states_[long_query_block];
};
