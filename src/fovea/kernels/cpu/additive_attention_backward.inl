// Backward of one (sequence, head), a tile of queries at a time: scores again, their gradients row by row,
// then the sums over pairs column by column. Rows and columns are independent, so that several workers can
// share a tile and every sum still has one order. Included by additive_attention.inl.

// A piece of [0, count) in multiples of `grain`.
struct Piece {
  std::int64_t begin, end;
  Piece(std::int64_t count, std::int64_t grain, int part, int parts) {
    const std::int64_t grains = (count + grain - 1) / grain;
    begin = std::min(count, grains * part / parts * grain);
    end = std::min(count, grains * (part + 1) / parts * grain);
  }
};

// Queries of a tile: so many that a tile's rows of S weights stay small.
inline std::int64_t gradient_queries(std::int64_t keys) {
  constexpr std::int64_t most_pairs = std::int64_t{1} << 18;
  return std::clamp<std::int64_t>(most_pairs / std::max<std::int64_t>(keys, 1) / 4 * 4, 4, 64);
}

struct GradientSizes {
  std::int64_t pairs = 0, rows = 0;  // of the largest sequence
  explicit GradientSizes(const AdditiveExtents& x) {
    for (std::int64_t b = 0; b < x.sequences; ++b) {
      const std::int64_t keys = x.k_count[b];
      pairs = std::max(pairs, std::min(x.q_count[b], gradient_queries(keys)) * ((keys + 15) / 16 * 16));
      if (keys * factor_row(x.width) <= factor_cache) rows = std::max(rows, keys * factor_row(x.width));
    }
  }
};

class BackwardHead {
 public:
  static std::int64_t shared_scratch(const AdditiveExtents& x, const GradientSizes& sizes) {
    const std::int64_t row = factor_row(x.width);
    return 2 * padded_width(x.width) + 2 * 64 * row + 64 + 3 * sizes.pairs + 2 * sizes.rows;
  }
  static std::int64_t worker_scratch(const AdditiveExtents& x) {
    return key_block * factor_row(x.width) + 16;
  }

  // d_v [padded_width] receives this head's share of the gradient of v.
  BackwardHead(const AdditiveBackward& call, const AdditiveHead& head, const GradientSizes& sizes,
               const float* given, float* shared, float* d_v)
      : call_(call),
        x_(call.x),
        head_(head),
        given_(given),
        row_(factor_row(x_.width)),
        padded_(padded_width(x_.width)),
        stride_((head.keys + 15) / 16 * 16),
        v_sums_(shared + padded_),
        q_factors_(v_sums_ + padded_),
        q_sums_(q_factors_ + 64 * row_),
        row_sums_(q_sums_ + 64 * row_),
        weights_(row_sums_ + 64),
        d_scores_(weights_ + sizes.pairs),
        kept_(d_scores_ + sizes.pairs),
        all_(keeps_factors(x_, head.in, head.keys) ? kept_ + sizes.pairs : nullptr),
        k_sums_(head.keys * row_ <= factor_cache ? kept_ + sizes.pairs + sizes.rows : nullptr),
        d_v_(d_v),
        v_(head.in.v + head.h * x_.width, x_.width, shared) {
    std::fill_n(v_sums_, padded_, 0.0f);
  }

  std::int64_t tiles() const {
    const std::int64_t most = gradient_queries(head_.keys);
    return head_.keys > 0 ? (head_.queries + most - 1) / most : 0;
  }

  void factor_keys(int part, int parts) {
    const Piece keys(head_.keys, 1, part, parts);
    for (std::int64_t j = keys.begin; all_ && j < keys.end; ++j)
      make_factors(head_.in.k + head_.k(j), x_.width, all_ + j * row_);
  }

  void begin_tile(std::int64_t tile) {
    const std::int64_t most = gradient_queries(head_.keys);
    t0_ = tile * most;
    nq_ = std::min(most, head_.queries - t0_);
    first_ = tile == 0;
    last_ = t0_ + nq_ == head_.queries;
    for (std::int64_t t = 0; t < nq_; ++t) {
      queries_[t] = {head_.in.q + head_.q(t0_ + t), q_factors_ + t * row_};
      seen_[t] = head_.seen(t0_ + t);
      if (!call_.scores_alone) d_out_[t] = call_.d_out + head_.out(t0_ + t);
    }
  }

  // Gradients of the tile's scores, and what of them each row sums up to.
  void rows(int part, int parts, float* scratch) {
    const Piece rows(nq_, 4, part, parts);
    if (rows.begin == rows.end) return;
    for (std::int64_t t = rows.begin; t < rows.end; ++t) {
      make_factors(queries_[t].raw, x_.width, q_factors_ + t * row_);
      std::fill_n(q_sums_ + t * row_, padded_, 0.0f);
    }
    if (call_.scores_alone) return copy_given(rows);
    for (std::int64_t j0 = 0; j0 < head_.keys; j0 += key_block) pairs(rows, j0, scratch);
    const std::int64_t drawn = (rows.end - rows.begin) * head_.keys;
    float* const kept = kept_ + rows.begin * head_.keys;
    if (x_.dropout.active())
      dropout_multipliers(x_.dropout, head_.dropout_element(t0_ + rows.begin, 0), drawn, kept);
    for (std::int64_t t = rows.begin; t < rows.end; ++t) finish_row(t);
  }

  // The sums over the tile's pairs, for a part of the columns.
  void columns(int part, int parts, float* scratch) {
    KeyColumns panel;
    const Piece d(padded_, width, part, parts);
    for (std::int64_t j0 = 0; d.begin < d.end && j0 < head_.keys; j0 += key_block)
      score_columns(j0, d, panel, scratch);
    for (std::int64_t t = 0; t < nq_; ++t)
      finish_columns(q_sums_ + t * row_, d, call_.to.q + head_.q(t0_ + t));
    for (std::int64_t j = 0; k_sums_ && last_ && j < head_.keys; ++j)
      finish_columns(k_sums_ + j * row_, d, call_.to.k + head_.k(j));
    if (!call_.scores_alone) {
      const Piece e(x_.value_width, 16, part, parts);
      if (e.begin < e.end) value_columns(e);
    }
  }

  // In the order of queries, whoever computed them.
  void end_tile() {
    for (std::int64_t t = 0; t < nq_; ++t) total_ += row_sums_[t];
  }

  void end() {
    const bool nothing = tiles() == 0;
    for (std::int64_t t = 0; nothing && t < head_.queries; ++t)
      std::fill_n(call_.to.q + head_.q(t), x_.width, 0.0f);
    for (std::int64_t j = 0; nothing && j < head_.keys; ++j) {
      std::fill_n(call_.to.k + head_.k(j), x_.width, 0.0f);
      if (!call_.scores_alone) std::fill_n(call_.to.value + head_.value(j), x_.value_width, 0.0f);
    }
    for (std::int64_t d = 0; d < padded_; d += width)
      store(d_v_ + d, fnma(broadcast(2.0f), load(v_sums_ + d), broadcast(total_)));
  }

 private:
  int lanes(std::int64_t d) const { return static_cast<int>(std::min<std::int64_t>(width, x_.width - d)); }
  Floats slope(std::int64_t d) const { return mul(broadcast(4.0f), load(v_.v + d)); }
  static void store_first_of(float* to, Floats x, int n) {
    n == width ? store(to, x) : store_first(to, x, n);
  }
  static Floats load_first_of(const float* from, int n) {
    return n == width ? load(from) : load_first(from, n);
  }

  void copy_given(const Piece& rows) {
    for (std::int64_t t = rows.begin; t < rows.end; ++t) {
      const float* const from = given_ + (t0_ + t) * head_.keys;
      float* const to = d_scores_ + t * stride_;
      Floats total = zero();
      over_vectors(seen_[t].end - seen_[t].begin, [&](std::int64_t j, auto lanes) {
        const Floats x = lanes.read(from + seen_[t].begin + j);
        lanes.write(to + seen_[t].begin + j, x);
        total = add(total, x);
      });
      row_sums_[t] = sum(total);
    }
  }

  // Scores, and products of d_out with values, of a block of keys.
  void pairs(const Piece& rows, std::int64_t j0, float* scratch) {
    const std::int64_t n = std::min(key_block, head_.keys - j0), nq = rows.end - rows.begin;
    if (!head_.seen(t0_ + rows.begin, t0_ + rows.end).meets(j0, j0 + n)) return;
    const KeyRows keys(head_, j0, n, all_, scratch);
    const float* values[key_block];
    for (std::int64_t j = 0; j < n; ++j) values[j] = head_.in.value + head_.value(j0 + j);
    KeySpan seen[64];
    for (std::int64_t t = 0; t < nq; ++t) seen[t] = seen_[rows.begin + t].within(j0, n);
    const std::int64_t to = rows.begin * stride_ + j0;
    over_quads(seen, nq, n, weights_ + to, stride_,
               [&](std::int64_t t, std::int64_t j, int count, Floats* sums) {
                 score_quad(queries_[rows.begin + t], keys.rows + j, count, v_, sums);
               });
    dots(seen, d_out_ + rows.begin, nq, values, n, x_.value_width, d_scores_ + to, stride_);
  }

  // Scores become weights times dropout's multipliers, d_out.value becomes gradients of scores.
  void finish_row(std::int64_t t) {
    const KeySpan seen = seen_[t];
    const Floats lse = broadcast(call_.log_sum_exp[head_.lse(t0_ + t, call_.lse_stride)]);
    const float *d_out = d_out_[t], *out = call_.out + head_.out(t0_ + t);
    Floats dot = zero(), total = zero();
    over_vectors(x_.value_width, [&](std::int64_t e, auto lanes) {
      dot = fma(lanes.read(d_out + e), lanes.read(out + e), dot);
    });
    const Floats delta = broadcast(sum(dot));
    float *const weights = weights_ + t * stride_ + seen.begin, *const d_scores =
                                                                    d_scores_ + t * stride_ + seen.begin;
    const float* const kept = kept_ + t * head_.keys + seen.begin;
    over_vectors(seen.end - seen.begin, [&](std::int64_t j, auto lanes) {
      const Floats p = exp(sub(lanes.read(weights + j), lse));
      Floats mp = p, dp = lanes.read(d_scores + j);
      if (x_.dropout.active()) {
        const Floats m = lanes.read(kept + j);
        mp = mul(p, m);
        dp = mul(dp, m);
      }
      const Floats d_score = mul(p, sub(dp, delta));
      lanes.write(weights + j, mp);
      lanes.write(d_scores + j, d_score);
      total = add(total, lanes.keep(d_score));
    });
    row_sums_[t] = sum(total);
  }

  void score_columns(std::int64_t j0, const Piece& columns, KeyColumns& panel, float* scratch) {
    const std::int64_t n = std::min(key_block, head_.keys - j0);
    const KeyRows keys(head_, j0, n, all_, scratch);
    KeySpan seen[64];
    for (std::int64_t t = 0; t < nq_; ++t) seen[t] = seen_[t].within(j0, n);
    bool careful[64] = {};  // by the first query of a rectangle
    over_spans(
        seen, nq_, 4,
        [&](std::int64_t t0, std::int64_t t1, KeySpan span) {
          careful[t0] = !all_factored(t0, t1, keys, span);
        },
        [](std::int64_t, KeySpan) {});
    for (std::int64_t d = columns.begin; d < columns.end && d < x_.width; d += width) {
      open_panel(keys, d, panel);
      over_spans(
          seen, nq_, 4,
          [&](std::int64_t t0, std::int64_t t1, KeySpan span) {
            if (!careful[t0]) return rectangle(t0, t1 - t0, j0, d, span, panel);
            for (std::int64_t t = t0; t < t1; ++t) single(t, keys, d, span, panel);
          },
          [&](std::int64_t t, KeySpan span) { single(t, keys, d, span, panel); });
      close_panel(keys, d, panel);
    }
  }

  bool all_factored(std::int64_t t0, std::int64_t t1, const KeyRows& keys, KeySpan span) const {
    bool all = true;
    for (std::int64_t t = t0; t < t1; ++t)
      for (std::int64_t j = span.begin; j < span.end; ++j)
        all = all && v_.factored(queries_[t].factors, keys.rows[j].factors);
    return all;
  }

  void finish_columns(const float* sums, const Piece& columns, float* to) const {
    for (std::int64_t d = columns.begin; d < columns.end && d < x_.width; d += width)
      store_first_of(to + d, mul(slope(d), load(sums + d)), lanes(d));
  }

  // Sums of keys gather in rows side by side while they fit; else in the gradient itself.
  void open_panel(const KeyRows& keys, std::int64_t d, KeyColumns& panel) const {
    for (std::int64_t i = 0; i < keys.count; ++i) {
      const std::int64_t j = keys.first + i;
      store(panel.factors + i * width, load(keys.rows[i].factors + d));
      Floats sums = zero();
      if (!first_)
        sums = k_sums_ ? load(k_sums_ + j * row_ + d) : load_first_of(call_.to.k + head_.k(j) + d, lanes(d));
      store(panel.sums + i * width, sums);
    }
  }

  void close_panel(const KeyRows& keys, std::int64_t d, const KeyColumns& panel) const {
    for (std::int64_t i = 0; i < keys.count; ++i) {
      const std::int64_t j = keys.first + i;
      const Floats sums = load(panel.sums + i * width);
      if (k_sums_)
        store(k_sums_ + j * row_ + d, sums);
      else
        store_first_of(call_.to.k + head_.k(j) + d, last_ ? mul(slope(d), sums) : sums, lanes(d));
    }
  }

  QueryColumns query_columns(std::int64_t t, std::int64_t j0, std::int64_t d) const {
    return {q_factors_ + t * row_ + d, q_sums_ + t * row_ + d, row_, d_scores_ + t * stride_ + j0, stride_};
  }

  void rectangle(std::int64_t t, std::int64_t count, std::int64_t j0, std::int64_t d, KeySpan span,
                 KeyColumns& panel) const {
    const auto gradient = count == 4   ? &factored_gradient<4>
                          : count == 3 ? &factored_gradient<3>
                          : count == 2 ? &factored_gradient<2>
                                       : &factored_gradient<1>;
    gradient(query_columns(t, j0, d), span, panel, v_sums_ + d);
  }

  void single(std::int64_t t, const KeyRows& keys, std::int64_t d, KeySpan span, KeyColumns& panel) const {
    careful_gradient(query_columns(t, keys.first, d), queries_[t], keys, d, lanes(d), v_, span, panel,
                     v_sums_ + d);
  }

  // d_value (+)= weights^T d_out
  void value_columns(const Piece& e) const {
    const bool same = seen_[0].begin == seen_[nq_ - 1].begin && seen_[0].end == seen_[nq_ - 1].end;
    const bool whole = same && seen_[0].begin == 0 && seen_[0].end == head_.keys;
    if (first_ && !whole)
      for (std::int64_t j = 0; j < head_.keys; ++j)
        std::fill(call_.to.value + head_.value(j) + e.begin, call_.to.value + head_.value(j) + e.end, 0.0f);
    const auto product = [&](std::int64_t t0, std::int64_t t1, KeySpan span) {
      mix({.a = weights_ + t0 * stride_ + span.begin,
           .a_row = 1,
           .a_step = stride_,
           .b = d_out_ + t0,
           .c = call_.to.value + head_.value(span.begin),
           .c_row = x_.value.row,
           .n = t1 - t0,
           .accumulate = !first_ || !whole},
          span.end - span.begin, e.begin, e.end);
    };
    over_spans(seen_, nq_, same ? nq_ : 16, product,
               [&](std::int64_t t, KeySpan span) { product(t, t + 1, span); });
  }

  const AdditiveBackward& call_;
  const AdditiveExtents& x_;
  const AdditiveHead& head_;
  const float* given_;  // d_scores of this head, of scores alone
  std::int64_t row_, padded_, stride_;
  float *v_sums_, *q_factors_, *q_sums_, *row_sums_, *weights_, *d_scores_, *kept_, *all_, *k_sums_, *d_v_;
  ScoreVector v_;
  std::int64_t t0_ = 0, nq_ = 0;
  bool first_ = true, last_ = true;
  float total_ = 0.0f;
  ScoreRow queries_[64];
  const float* d_out_[64];
  KeySpan seen_[64];
};
