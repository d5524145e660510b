// What is read off single pairs: gradients of scores, and weights on request. Both compute tiles again and
// write only what is asked. Included by attention.inl.

// Tiles of ds (without scale and slope of the cap; zeros where hidden) in one fixed order.
class PairGradients {
 public:
  PairGradients(const AttentionBackward& call, Arena& arena)
      : x_(call.x), block_(call, arena), chunk_(call.x, call.in, arena) {}

  // body(head, t0, nq, tile, ds, stride) for the tiles of queries [t0, t1) of a head.
  template <class Body>
  void for_each_tile(const AttentionHead& head, std::int64_t t0, std::int64_t t1, const Body& body) {
    const Interval seen = head.visible(t0, t1);
    if (seen.count() <= 0) return;
    block_.begin(head, t0, t1);
    const std::int64_t step = chunk_keys(x_);
    for (std::int64_t c = seen.begin / step * step; c < seen.end; c += step) {
      chunk_.move_to(head, c, std::min(c + step, head.keys), false, false);
      const std::int64_t end = std::min(chunk_.end(), seen.end);
      for (std::int64_t j = std::max(c, seen.begin); j < end;) {
        const KeyTile tile = head.tile(t0, j, end);
        if (block_.compute(tile, chunk_.k(j), chunk_.v(j), false, true))
          body(tile, block_.d_scores(), block_.stride());
        j += tile.n;
      }
    }
  }

 private:
  const AttentionExtents& x_;
  BackwardBlock block_;
  KeyChunk chunk_;
};

// The weights of one (sequence, chosen head) after another, tile by tile.
class Weigher {
 public:
  Weigher(const AttentionWeighing& call, Arena& arena)
      : call_(call),
        x_(call.x),
        w_(call.wanted),
        editor_(x_, call.in, arena),
        chunk_(x_, call.in, arena),
        lanes_(arena.take(x_.key_width * max_block)),
        row_scratch_(x_.rotary.active() ? arena.take(max_block * round_up(x_.key_width)) : nullptr),
        scores_(arena.take(key_block * max_block)),
        weights_(arena.take(key_block * max_block)),
        lse_(arena.take(max_block)),
        entropy_(arena.take(max_block)) {}

  // Head `index` of those chosen; `all` is where its first weight goes.
  void run(const AttentionHead& head, std::int64_t index, float* all) {
    index_ = index;
    if (w_.column_sums)
      std::fill_n(w_.column_sums + index * w_.column_stride + head.first_key_row, head.keys, 0.0f);
    for (std::int64_t t = 0; t < head.queries;) {
      const Interval run = chosen_run(head, t);
      for (std::int64_t t0 = run.begin; t0 < run.end; t0 += max_block) {
        const std::int64_t t1 = std::min(t0 + max_block, run.end);
        block(head, t0, t1, all);
        if (all) all += (t1 - t0) * head.keys;
      }
      t = run.end;
    }
  }

  static std::int64_t chosen_rows(const AttentionWeights& w, const AttentionHead& head) {
    if (!w.rows) return head.queries;
    const auto at = [&](std::int64_t row) { return std::lower_bound(w.rows, w.rows + w.row_count, row); };
    return at(head.query_row + head.queries) - at(head.query_row);
  }

 private:
  // The first chosen queries from t on that lie side by side; empty at the end if there are none.
  Interval chosen_run(const AttentionHead& head, std::int64_t t) const {
    if (!w_.rows) return {0, head.queries};
    const std::int32_t* const last = w_.rows + w_.row_count;
    const std::int32_t* row = std::lower_bound(w_.rows, last, head.query_row + t);
    if (row == last || *row >= head.query_row + head.queries) return {head.queries, head.queries};
    Interval run{*row - head.query_row, *row - head.query_row};
    for (; row != last && *row == head.query_row + run.end && run.end < head.queries; ++row) ++run.end;
    return run;
  }

  void block(const AttentionHead& head, std::int64_t t0, std::int64_t t1, float* all) {
    const std::int64_t nq = t1 - t0, stride = round_up(nq), step = chunk_keys(x_);
    clear(head, t0, t1, all);
    const Interval seen = head.visible(t0, t1);
    if (seen.count() > 0) {
      query_lanes(x_, head, call_.in.q, t0, t1, row_scratch_, lanes_, stride);
      editor_.enter(head, t0, nq);
      const float* const lse = call_.log_sum_exp + head.h * call_.lse_stride + head.query_row + t0;
      for (std::int64_t t = 0; t < nq; ++t) lse_[t] = lse[t] == no_score ? -lowest : lse[t] * log2_e;
    }
    for (std::int64_t c = seen.begin / step * step; c < seen.end; c += step) {
      chunk_.move_to(head, c, std::min(c + step, head.keys), false, false);
      const std::int64_t end = std::min(chunk_.end(), seen.end);
      for (std::int64_t j = std::max(c, seen.begin); j < end;) {
        const KeyTile tile = head.tile(t0, j, end);
        if (!editor_.active() || !editor_.hidden(tile)) {
          weigh(tile, nq, stride);
          write(head, t0, nq, tile, stride, all);
        }
        j += tile.n;
      }
    }
    if (w_.entropy) std::copy_n(entropy_, nq, w_.entropy + index_ * w_.row_stride + head.query_row + t0);
  }

  void clear(const AttentionHead& head, std::int64_t t0, std::int64_t t1, float* all) {
    if (all) std::fill_n(all, (t1 - t0) * head.keys, 0.0f);
    std::fill_n(entropy_, max_block, 0.0f);
    const std::int64_t at = (index_ * w_.row_stride + head.query_row + t0) * w_.top;
    if (w_.top == 0) return;
    std::fill_n(w_.top_weights + at, (t1 - t0) * w_.top, 0.0f);
    std::fill_n(w_.top_keys + at, (t1 - t0) * w_.top, -1);
  }

  // Scores and weights of a tile; entropy = sum of p (log sum exp - score).
  void weigh(const KeyTile& tile, std::int64_t nq, std::int64_t stride) {
    lane_scores(tile, nq, chunk_.k(tile.j0), x_.key_width, lanes_, scores_, stride);
    if (editor_.active()) editor_.edit(tile, scores_, stride, nullptr);
    hide_edges(tile, nq, scores_, stride);
    for (std::int64_t lane = 0; lane < nq; lane += width) {
      const Interval keys = lane_keys(tile, lane, nq);
      const Floats lse = load(lse_ + lane);
      Floats entropy = load(entropy_ + lane);
      for (std::int64_t j = keys.begin; j < keys.end; ++j) {
        const Floats below = sub(load(scores_ + j * stride + lane), lse), p = exp2(below);
        const Floats part = mul(mul(p, below), broadcast(-ln_2));
        entropy = add(entropy, select_less(p, broadcast(1e-45f), zero(), part));
        store(weights_ + j * stride + lane, p);
      }
      store(entropy_ + lane, entropy);
    }
  }

  void write(const AttentionHead& head, std::int64_t t0, std::int64_t nq, const KeyTile& tile,
             std::int64_t stride, float* all) {
    for (std::int64_t t = 0; t < nq; ++t) {
      const Interval keys = tile.edges.columns(t, t + 1, tile.n);
      if (all)
        for (std::int64_t j = keys.begin; j < keys.end; ++j)
          all[t * head.keys + tile.j0 + j] = weights_[j * stride + t];
      if (w_.top > 0)
        for (std::int64_t j = keys.begin; j < keys.end; ++j)
          if (scores_[j * stride + t] > lowest)
            insert(head.query_row + t0 + t, weights_[j * stride + t], static_cast<std::int32_t>(tile.j0 + j));
    }
    if (!w_.column_sums) return;
    float* const sums = w_.column_sums + index_ * w_.column_stride + head.first_key_row + tile.j0;
    const Edges by_key = tile.edges.transposed();
    for (std::int64_t j = 0; j < tile.n; ++j) {
      const Interval queries = by_key.columns(j, j + 1, nq);
      for (std::int64_t t = queries.begin; t < queries.end; ++t) sums[j] += weights_[j * stride + t];
    }
  }

  void insert(std::int64_t row, float weight, std::int32_t key) {
    float* const weights = w_.top_weights + (index_ * w_.row_stride + row) * w_.top;
    std::int32_t* const keys = w_.top_keys + (index_ * w_.row_stride + row) * w_.top;
    std::int64_t at = w_.top;
    while (at > 0 && (keys[at - 1] < 0 || weight > weights[at - 1])) --at;
    if (at == w_.top) return;
    std::copy_backward(weights + at, weights + w_.top - 1, weights + w_.top);
    std::copy_backward(keys + at, keys + w_.top - 1, keys + w_.top);
    weights[at] = weight;
    keys[at] = key;
  }

  const AttentionWeighing& call_;
  const AttentionExtents& x_;
  const AttentionWeights& w_;
  ScoreEditor editor_;
  KeyChunk chunk_;
  float *lanes_, *row_scratch_, *scores_, *weights_, *lse_, *entropy_;
  std::int64_t index_ = 0;
};

void attention_weights(const AttentionWeighing& call) {
  const AttentionExtents& x = call.x;
  const AttentionWeights& w = call.wanted;
  const std::int64_t heads = w.heads ? w.head_count : x.heads;
  Arena count;
  Weigher(call, count);
  const int workers =
      static_cast<int>(std::clamp<std::int64_t>(x.sequences * heads, 1, call.exec.pool->size()));
  run_workers(call.exec, workers, [&](int worker) {
    Arena arena(call.exec.workspace->get(worker, 3, count.used()));
    Weigher work(call, arena);
    float* all = w.all;
    for (std::int64_t b = 0, unit = 0; b < x.sequences; ++b) {
      const AttentionHead first(x, b, 0);
      const std::int64_t each = Weigher::chosen_rows(w, first) * first.keys;
      for (std::int64_t i = 0; i < heads; ++i, ++unit) {
        if (unit % workers == worker) work.run(AttentionHead(x, b, w.heads ? w.heads[i] : i), i, all);
        if (all) all += each;
      }
    }
  });
}
