// Backward of one (sequence, key head), which one worker does from first to last, so that sums have one
// order. Weights are computed again from log sum exp, in blocks of [keys, queries] as forward. With p the
// weights, m the dropout multipliers, dp = m * (d_out.v) and delta = d_out.out:
//   d_v += (m p)^T d_out,   ds = scale * p (dp - delta),   d_q += ds k,   d_k += ds^T q
// Included by attention.inl.

class BackwardHead {
 public:
  static std::int64_t scratch(const AttentionExtents& x, std::int64_t most_keys) {
    const std::int64_t wide = round_up(x.key_width) + round_up(x.value_width);
    return 2 * Arena::size(max_block * wide) + Arena::size(max_block * round_up(x.key_width)) +
           3 * Arena::size(key_block * max_block) + 2 * Arena::size(max_block) +
           Arena::size(std::max(max_block, key_block)) + Arena::size(most_keys * wide) +
           (x.dropout.active() ? LaneDropout::scratch(max_block, most_keys) : 0);
  }

  // k and v are rows as a product's B wants them, and v's also as its A.
  BackwardHead(const AttentionBackward& call, const AttentionHead& first, Panel k, Panel v, float* scratch)
      : call_(call),
        x_(call.x),
        k_(k),
        v_(v),
        keys_(first.keys),
        key_columns_(round_up(x_.key_width)),
        value_columns_(round_up(x_.value_width)),
        arena_(scratch),
        q_lanes_(arena_.take(x_.key_width * max_block)),
        d_out_lanes_(arena_.take(x_.value_width * max_block)),
        q_rows_(arena_.take(max_block * key_columns_)),
        d_out_rows_(arena_.take(max_block * value_columns_)),
        d_q_rows_(arena_.take(max_block * key_columns_)),
        weights_(arena_.take(key_block * max_block)),
        d_scores_(arena_.take(key_block * max_block)),
        kept_(arena_.take(key_block * max_block)),
        lse_(arena_.take(max_block)),
        delta_(arena_.take(max_block)),
        ones_(arena_.take(std::max(max_block, key_block))),
        d_k_{call.d_k + first.k, x_.k.row},
        d_v_{call.d_v + first.v, x_.v.row} {
    if (x_.key_width % width) d_k_ = {arena_.take(keys_ * key_columns_), key_columns_};
    if (x_.value_width % width) d_v_ = {arena_.take(keys_ * value_columns_), value_columns_};
    std::fill_n(ones_, std::max(max_block, key_block), 1.0f);
  }

  // The heads h0 .. h1-1 that read this key head.
  void run(std::int64_t b, std::int64_t h0, std::int64_t h1) {
    const AttentionHead first(x_, b, h0);
    const QueryBlocks cut(first.queries, width, block_vectors, 0);
    once_ = h1 - h0 == 1 && cut.blocks == 1;
    if (!once_) {
      for (std::int64_t j = 0; j < keys_; ++j) {
        std::fill_n(d_k_.data + j * d_k_.row, key_columns_, 0.0f);
        std::fill_n(d_v_.data + j * d_v_.row, value_columns_, 0.0f);
      }
    }
    for (std::int64_t h = h0; h < h1; ++h)
      for (std::int64_t i = 0; i < cut.blocks; ++i) block(AttentionHead(x_, b, h), cut.begin(i), cut.end(i));
    copy_out(first);
  }

 private:
  struct Rows {
    float* data;
    std::int64_t row;
  };

  void block(const AttentionHead& head, std::int64_t t0, std::int64_t t1) {
    const std::int64_t nq = t1 - t0, stride = round_up(nq), seen = head.visible(t1 - 1);
    float* const d_q = call_.d_q + head.q + t0 * x_.q.row;
    if (seen == 0) {
      for (std::int64_t t = 0; t < nq; ++t) std::fill_n(d_q + t * x_.q.row, x_.key_width, 0.0f);
      return;
    }
    const float* const q = call_.q + head.q + t0 * x_.q.row;
    const float* const d_out = call_.d_out + head.out + t0 * x_.out.row;
    rows_to_lanes(q, x_.q.row, nq, x_.key_width, x_.scale * log2_e, q_lanes_, stride);
    rows_to_lanes(d_out, x_.out.row, nq, x_.value_width, 1.0f, d_out_lanes_, stride);
    const Panel q_rows = padded_rows(q, x_.q.row, nq, x_.key_width, q_rows_);
    const Panel d_out_rows = padded_rows(d_out, x_.out.row, nq, x_.value_width, d_out_rows_);
    lane_constants(head, t0, nq, d_out);
    LaneDropout dropout(call_.exec, x_.dropout, head, t0, nq, arena_.take(0));
    const bool direct = x_.key_width % width == 0;
    const Rows d_q_rows = direct ? Rows{d_q, x_.q.row} : Rows{d_q_rows_, key_columns_};
    for (std::int64_t j0 = 0; j0 < seen; j0 += key_block) {
      const std::int64_t n = std::min(key_block, seen - j0);
      lane_scores(head, t0, nq, j0, n, k_, x_.key_width, q_lanes_, weights_, stride);
      lane_scores(head, t0, nq, j0, n, v_, x_.value_width, d_out_lanes_, d_scores_, stride);
      if (x_.dropout.active()) dropout.draw(j0, n, kept_, stride);
      for (std::int64_t lane = 0; lane < stride; lane += width) {
        const auto column = x_.dropout.active() ? &BackwardHead::column<true> : &BackwardHead::column<false>;
        (this->*column)(lane, column_keys(head, t0, nq, lane / width, j0, n), stride);
      }
      add_to_keys(weights_, stride, nq, n, nq - (j0 + n - head.reach(t0)), d_out_rows,
                  {d_v_.data + j0 * d_v_.row, d_v_.row}, value_columns_);
      add_to_keys(d_scores_, stride, nq, n, nq - (j0 + n - head.reach(t0)), q_rows,
                  {d_k_.data + j0 * d_k_.row, d_k_.row}, key_columns_);
      multiply({.a = d_scores_,
                .a_row = 1,
                .a_step = stride,
                .b = k_.data + j0 * k_.row,
                .b_row = k_.row,
                .c = d_q_rows.data,
                .c_row = d_q_rows.row,
                .n = n,
                .seen = head.reach(t0) - j0,
                .before = j0 == 0 ? nullptr : ones_},
               nq, key_columns_);
    }
    if (!direct)
      for (std::int64_t t = 0; t < nq; ++t)
        copy_row(d_q_rows_ + t * key_columns_, x_.key_width, d_q + t * x_.q.row);
  }

  // log sum exp in base 2 and delta of the block's queries.
  void lane_constants(const AttentionHead& head, std::int64_t t0, std::int64_t nq, const float* d_out) {
    const float* const lse = call_.log_sum_exp + head.h * call_.lse_stride + head.query_row + t0;
    const float* const out = call_.out + head.out + t0 * x_.out.row;
    for (std::int64_t first = 0; first < nq; first += width) {
      const int lanes = static_cast<int>(std::min<std::int64_t>(width, nq - first));
      store(lse_ + first, mul(load_first(lse + first, lanes), broadcast(log2_e)));
      Floats sums[width];
      for (int i = 0; i < width; ++i) {
        const std::int64_t row = (first + std::min(i, lanes - 1)) * x_.out.row;
        sums[i] = zero();
        std::int64_t e = 0;
        for (; e + width <= x_.value_width; e += width)
          sums[i] = fma(load(out + row + e), load(d_out + row + e), sums[i]);
        const int rest = static_cast<int>(x_.value_width - e);
        if (rest > 0)
          sums[i] = fma(load_first(out + row + e, rest), load_first(d_out + row + e, rest), sums[i]);
      }
      store(delta_ + first, lane_sums(sums));
    }
  }

  // One lane vector of a block of n keys: scores and d_out.v in, m*p and ds out.
  template <bool Dropped>
  void column(std::int64_t lane, std::int64_t n, std::int64_t stride) {
    const Floats lse = load(lse_ + lane), delta = load(delta_ + lane), scale = broadcast(x_.scale);
    for (std::int64_t j = 0; j < n; ++j) {
      float *const weight = weights_ + j * stride + lane, *const d_score = d_scores_ + j * stride + lane;
      const Floats p = exp2(sub(load(weight), lse));
      Floats mp = p, dp = load(d_score);
      if constexpr (Dropped) {
        const Floats m = load(kept_ + j * stride + lane);
        mp = mul(p, m);
        dp = mul(dp, m);
      }
      store(weight, mp);
      store(d_score, mul(mul(scale, p), sub(dp, delta)));
    }
  }

  // to[j] += sum over queries of a[j,t] rows[t] for the keys j < n of a block. A key is seen by the block's
  // last queries, one fewer for each later key: so keys and queries run backward, and `seen`, those that see
  // the last key, grows by one a key.
  void add_to_keys(const float* a, std::int64_t stride, std::int64_t nq, std::int64_t n, std::int64_t seen,
                   Panel rows, Rows to, std::int64_t columns) {
    multiply({.a = a + (n - 1) * stride + nq - 1,
              .a_row = -stride,
              .a_step = -1,
              .b = rows.data + (nq - 1) * rows.row,
              .b_row = -rows.row,
              .c = to.data + (n - 1) * to.row,
              .c_row = -to.row,
              .n = nq,
              .seen = seen,
              .before = once_ ? nullptr : ones_},
             n, columns);
  }

  void copy_out(const AttentionHead& head) {
    for (std::int64_t j = 0; j < keys_; ++j) {
      if (x_.key_width % width)
        copy_row(d_k_.data + j * d_k_.row, x_.key_width, call_.d_k + head.k + j * x_.k.row);
      if (x_.value_width % width)
        copy_row(d_v_.data + j * d_v_.row, x_.value_width, call_.d_v + head.v + j * x_.v.row);
    }
  }

  const AttentionBackward& call_;
  const AttentionExtents& x_;
  Panel k_, v_;
  std::int64_t keys_, key_columns_, value_columns_;
  Arena arena_;
  float *q_lanes_, *d_out_lanes_, *q_rows_, *d_out_rows_, *d_q_rows_;
  float *weights_, *d_scores_, *kept_, *lse_, *delta_, *ones_;
  Rows d_k_, d_v_;
  bool once_ = false;  // every key gets its one contribution from one block: nothing to add to
};
