// Forward of a block of queries side by side in lanes: scores and weights are transposed ([keys, queries]),
// so that maxima, sums and limits are vectors and no sum runs across lanes. Softmax online over tiles of keys
// (Milakov and Gimelshein 2018; Dao et al. 2022), in base 2. Included by attention.inl.

// What a block of queries keeps over the tiles of keys; one float a lane.
struct LaneState {
  float *largest, *sum, *rescale;
};

// One lane vector's part of a tile: the scores of `keys` in, exp2(score - largest) out, times `multipliers`
// if given. Updates the running maximum and sum; returns whether a maximum grew.
template <bool Dropped>
bool softmax_column(float* scores, std::int64_t stride, Interval keys, const LaneState& state,
                    const float* multipliers) {
  const Floats before = load(state.largest);
  Floats tops[4] = {before, before, before, before};
  std::int64_t j = keys.begin;
  for (; j + 4 <= keys.end; j += 4) {
    FOVEA_UNROLL for (int i = 0; i < 4; ++i) tops[i] = max(tops[i], load(scores + (j + i) * stride));
  }
  for (; j < keys.end; ++j) tops[0] = max(tops[0], load(scores + j * stride));
  const Floats top = max(max(tops[0], tops[1]), max(tops[2], tops[3]));
  const bool grew = greater(top, before) != 0;
  Floats total = load(state.sum);
  if (grew) {
    const Floats rescale = exp2(sub(before, top));
    total = mul(total, rescale);
    store(state.largest, top);
    store(state.rescale, rescale);
  } else {
    store(state.rescale, broadcast(1.0f));
  }
  for (j = keys.begin; j < keys.end; ++j) {
    Floats p = exp2(sub(load(scores + j * stride), top));
    total = add(total, p);
    if constexpr (Dropped) p = mul(p, load(multipliers + j * stride));
    store(scores + j * stride, p);
  }
  store(state.sum, total);
  return grew;
}

// What blocks of a worker use one after another.
struct ForwardTools {
  ForwardTools(const AttentionForward& call, Arena& arena)
      : scores(arena.take(key_block * max_block)),
        row_scratch(call.x.rotary.active() ? arena.take(max_block * round_up(call.x.key_width)) : nullptr),
        editor(call.x, call.in, arena),
        dropout(call.exec, call.x, arena) {}

  float *scores, *row_scratch;
  ScoreEditor editor;
  LaneDropout dropout;
};

class ForwardBlock {
 public:
  ForwardBlock(const AttentionForward& call, ForwardTools& tools, Arena& arena)
      : call_(call),
        x_(call.x),
        tools_(tools),
        columns_(round_up(x_.value_width)),
        lanes_(arena.take(x_.key_width * max_block)),
        mixed_(arena.take(max_block * columns_)),
        inverse_(arena.take(max_block)),
        state_{arena.take(max_block), arena.take(max_block), arena.take(max_block)} {}

  void begin(const AttentionHead& head, std::int64_t t0, std::int64_t t1) {
    head_ = &head;
    t0_ = t0;
    nq_ = t1 - t0;
    stride_ = round_up(nq_);
    started_ = done_ = false;
    seen_ = head.visible(t0, t1);
    const float sink = call_.in.sinks ? call_.in.sinks[head.h] * log2_e : no_score;
    const Floats top = broadcast(std::max(lowest, sink));
    const Floats sum = sink > lowest ? broadcast(1.0f) : zero();
    for (std::int64_t i = 0; i < stride_; i += width) {
      store(state_.largest + i, top);
      store(state_.sum + i, sum);
    }
    if (seen_.count() > 0) query_lanes(x_, head, call_.in.q, t0, t1, tools_.row_scratch, lanes_, stride_);
  }

  // The tiles of a chunk. Chunks come in order.
  void add(const KeyChunk& chunk) {
    tools_.editor.enter(*head_, t0_, nq_);
    tools_.dropout.enter(*head_, t0_, nq_);
    const std::int64_t end = std::min(chunk.end(), seen_.end);
    for (std::int64_t j = std::max(chunk.begin(), seen_.begin); j < end;) {
      const KeyTile tile = head_->tile(t0_, j, end);
      if (!tools_.editor.active() || !tools_.editor.hidden(tile)) add_tile(chunk, tile);
      j += tile.n;
    }
  }

  void finish() {
    if (done_) return;
    normalise();
    float* const out = call_.out + head_->out + t0_ * x_.out.row;
    for (std::int64_t t = 0; t < nq_; ++t) {
      if (started_) {
        scale_row(mixed_ + t * columns_, inverse_[t]);
        copy_row(mixed_ + t * columns_, x_.value_width, out + t * x_.out.row);
      } else {
        std::fill_n(out + t * x_.out.row, x_.value_width, 0.0f);
      }
    }
  }

 private:
  void add_tile(const KeyChunk& chunk, const KeyTile& tile) {
    float* const scores = tools_.scores;
    lane_scores(tile, nq_, chunk.k(tile.j0), x_.key_width, lanes_, scores, stride_);
    if (tools_.editor.active()) tools_.editor.edit(tile, scores, stride_, nullptr);
    hide_edges(tile, nq_, scores, stride_);
    const float* const kept = tools_.dropout.draw(tile, stride_);
    bool grew = false;
    for (std::int64_t lane = 0; lane < stride_; lane += width) {
      const LaneState state{state_.largest + lane, state_.sum + lane, state_.rescale + lane};
      const Interval keys = lane_keys(tile, lane, nq_);
      grew |= kept ? softmax_column<true>(scores + lane, stride_, keys, state, kept + lane)
                   : softmax_column<false>(scores + lane, stride_, keys, state, nullptr);
    }
    const Panel v = chunk.v(tile.j0);
    Product product{.a = scores,
                    .a_row = 1,
                    .a_step = stride_,
                    .b = v.data,
                    .b_row = v.row,
                    .c = mixed_,
                    .c_row = columns_,
                    .n = tile.n,
                    .edges = tile.edges,
                    .add = started_,
                    .before = grew ? state_.rescale : nullptr};
    if (tile.n == seen_.count() && columns_ == x_.value_width) {  // the only tile
      normalise();
      product.c = call_.out + head_->out + t0_ * x_.out.row;
      product.c_row = x_.out.row;
      product.after = inverse_;
      done_ = true;
    }
    if (tools_.editor.hides())
      multiply_visible(product, nq_, columns_);
    else
      multiply(product, nq_, columns_);
    started_ = true;
  }

  // 1/sum (0 where nothing was seen) and log sum exp. A NaN stays one.
  void normalise() {
    for (std::int64_t i = 0; i < nq_; i += width) {
      const Floats sum = load(state_.sum + i), least = broadcast(1e-30f);
      store(inverse_ + i, select_less(sum, least, zero(), div(broadcast(1.0f), sum)));
      if (!call_.log_sum_exp) continue;
      const Floats lse = fma(load(state_.largest + i), broadcast(ln_2), fma(sum, zero(), log(sum)));
      store_first(call_.log_sum_exp + head_->h * call_.lse_stride + head_->query_row + t0_ + i,
                  select_less(sum, least, broadcast(no_score), lse),
                  static_cast<int>(std::min<std::int64_t>(width, nq_ - i)));
    }
  }

  void scale_row(float* row, float factor) const {
    for (std::int64_t e = 0; e < columns_; e += width) store(row + e, mul(broadcast(factor), load(row + e)));
  }

  const AttentionForward& call_;
  const AttentionExtents& x_;
  ForwardTools& tools_;
  std::int64_t columns_;
  float *lanes_, *mixed_, *inverse_;
  LaneState state_;
  const AttentionHead* head_ = nullptr;
  std::int64_t t0_ = 0, nq_ = 0, stride_ = 0;
  Interval seen_{0, 0};
  bool started_ = false, done_ = false;  // a tile was added; the result is out
};

// How many queries left over are cheaper one at a time than as another, mostly idle, lane vector. Costs in
// vector operations a key, and what a query or a block costs besides; found by timing.
inline QueryBlocks cut_queries(const AttentionForward& call, std::int64_t b) {
  const AttentionExtents& x = call.x;
  const std::int64_t queries = x.q_count[b], keys = x.k_count[b];
  if (edits_scores(x, call.in) || call.in.sinks || x.rotary.active())
    return QueryBlocks(queries, width, block_vectors, 0);
  const std::int64_t lanes = keys * (x.key_width + 12) + (queries < width ? 500 : 150);
  const std::int64_t single = keys * (x.key_width / width + 3) + 350;
  return QueryBlocks(queries, width, block_vectors, std::min<std::int64_t>(lanes / single, width - 1));
}

inline double forward_cost(const AttentionExtents& x, const AttentionHead& head, const QueryBlocks& cut) {
  double cost = 0.0;
  for (std::int64_t i = 0; i < cut.units(); ++i) cost += attention_cost(x, head, cut.begin(i), cut.end(i));
  return cost;
}

// A worker's blocks of queries. Up to `group` blocks go over a head's keys together, chunk by chunk, so that
// a chunk is made dense once for all of them.
class ForwardWorker {
 public:
  ForwardWorker(const AttentionForward& call, Arena& arena)
      : call_(call),
        x_(call.x),
        tools_(call, arena),
        chunk_(call.x, call.in, arena),
        chunk_keys_(chunk_keys(call.x)),
        blocks_{{call, tools_, arena}, {call, tools_, arena}, {call, tools_, arena}, {call, tools_, arena}},
        row_(call, arena.take(row_scratch(call.x, most_keys(call.x)))) {}

  // Units u0 .. u1-1 of a head's queries.
  void run(const AttentionHead& head, const QueryBlocks& cut, std::int64_t u0, std::int64_t u1) {
    const bool once = cut.blocks <= 1 && x_.heads == x_.kv_heads;
    for (std::int64_t u = u0; u < std::min(u1, cut.blocks); u += group)
      run_group(head, cut, u, std::min({u + group, u1, cut.blocks}), once);
    if (u1 > cut.blocks)
      for (std::int64_t t = cut.begin(cut.blocks); t < cut.end(cut.blocks); ++t)
        row_.run(head, t);
  }

 private:
  static constexpr std::int64_t group = 4;

  void run_group(const AttentionHead& head, const QueryBlocks& cut, std::int64_t u0, std::int64_t u1,
                 bool once) {
    for (std::int64_t u = u0; u < u1; ++u) blocks_[u - u0].begin(head, cut.begin(u), cut.end(u));
    const Interval seen = head.visible(cut.begin(u0), cut.end(u1 - 1));
    const std::int64_t step = chunk_keys_;
    std::int64_t j = seen.begin < step ? 0 : seen.begin / step * step;
    for (; j < seen.end; j += step) {
      chunk_.move_to(head, std::max(j, seen.begin), std::min(j + step, seen.end), once,
                     once && x_.value_width % width == 0);
      for (std::int64_t u = u0; u < u1; ++u) blocks_[u - u0].add(chunk_);
    }
    for (std::int64_t u = u0; u < u1; ++u) blocks_[u - u0].finish();
  }

  const AttentionForward& call_;
  const AttentionExtents& x_;
  ForwardTools tools_;
  KeyChunk chunk_;
  std::int64_t chunk_keys_;
  ForwardBlock blocks_[group];
  ForwardRow row_;
};

inline void forward_share(const AttentionForward& call, const Share& share, ForwardWorker& work) {
  const AttentionExtents& x = call.x;
  double at = 0.0;
  for (std::int64_t b = 0; b < x.sequences; ++b) {
    const QueryBlocks cut = cut_queries(call, b);
    const double cost = forward_cost(x, AttentionHead(x, b, 0), cut);
    for (std::int64_t h = 0; h < x.heads; ++h, at += cost) {
      if (!share.overlaps(at, cost)) continue;
      const AttentionHead head(x, b, h);
      if (share.contains(at, cost)) {
        work.run(head, cut, 0, cut.units());
        continue;
      }
      std::int64_t u0 = cut.units(), u1 = 0;
      double unit_at = at;
      for (std::int64_t u = 0; u < cut.units(); ++u) {
        const double unit_cost = attention_cost(x, head, cut.begin(u), cut.end(u));
        if (share.owns(unit_at, unit_cost)) u0 = std::min(u0, u), u1 = u + 1;
        unit_at += unit_cost;
      }
      if (u0 < u1) work.run(head, cut, u0, u1);
    }
  }
}

void attention_forward(const AttentionForward& call) {
  if (is_step(call)) return forward_step(call);
  const AttentionExtents& x = call.x;
  double total = 0.0;
  for (std::int64_t b = 0; b < x.sequences; ++b)
    total += static_cast<double>(x.heads) * forward_cost(x, AttentionHead(x, b, 0), cut_queries(call, b));
  const int workers = workers_for(call.exec, total);
  Arena count;
  ForwardWorker(call, count);
  run_workers(call.exec, workers, [&](int worker) {
    Arena arena(call.exec.workspace->get(worker, 3, count.used()));
    ForwardWorker work(call, arena);
    forward_share(call, Share(total, worker, workers), work);
  });
}
