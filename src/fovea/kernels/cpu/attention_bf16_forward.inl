// Forward in bf16, as attention_forward.inl: lanes are queries, softmax online in base 2. Scores are scaled
// in f32, inside the exponential; weights are rounded as they are multiplied. Included by attention_bf16.inl.

// What a block of queries keeps over the tiles of keys; one float a lane.
struct LaneState {
  float *largest, *sum, *rescale;
};

// Softmax of one lane vector over a tile: exp2(factor * score - largest) rounded to units of weights, those
// of no key 0, times `multipliers` if given. The maximum may lag by 2^8, which bf16 and f32 hold as well as
// 1; returns whether it moved.
template <bool Dropped>
bool softmax_units(float* scores, std::int64_t stride, Interval keys, std::int64_t n, float factor,
                   const LaneState& state, const float* multipliers, float* weights) {
  const Floats before = load(state.largest), none = broadcast(no_score), scale = broadcast(factor);
  Floats tops[4] = {none, none, none, none};
  std::int64_t j = keys.begin;
  for (; j + 4 <= keys.end; j += 4) {
    FOVEA_UNROLL for (int i = 0; i < 4; ++i) tops[i] = max(tops[i], load(scores + (j + i) * stride));
  }
  for (; j < keys.end; ++j) tops[0] = max(tops[0], load(scores + j * stride));
  const Floats seen = mul(max(max(tops[0], tops[1]), max(tops[2], tops[3])), scale);
  const Floats top = select_less(add(before, broadcast(8.0f)), seen, seen, before);
  const bool grew = greater(top, before) != 0;
  Floats rescale = broadcast(1.0f), total[2] = {load(state.sum), zero()};
  if (grew) {
    rescale = exp2(sub(before, top));
    total[0] = mul(total[0], rescale);
    store(state.largest, top);
  }
  store(state.rescale, rescale);
  const Floats below = sub(zero(), top);
  const std::int64_t first = keys.begin / pair, last = std::max((keys.end + pair - 1) / pair, first);
  if (first * pair < keys.begin) store(scores + first * pair * stride, none);
  if (last * pair > keys.end) store(scores + keys.end * stride, none);
  for (std::int64_t unit = 0; unit < first; ++unit) store(weights + unit * stride, zero());
  for (std::int64_t unit = first; unit < last; ++unit) {
    Floats p[pair];
    FOVEA_UNROLL for (int i = 0; i < pair; ++i) {
      const std::int64_t key = unit * pair + i;
      p[i] = weight_exp2(fma(load(scores + key * stride), scale, below));
      total[i] = add(total[i], p[i]);
      if constexpr (Dropped) p[i] = mul(p[i], load(multipliers + std::min(key, keys.end - 1) * stride));
    }
    store_weights<true, false>(p, weights + unit * stride, nullptr, 0);
  }
  for (std::int64_t unit = last; unit * pair < n; ++unit) store(weights + unit * stride, zero());
  store(state.sum, add(total[0], total[1]));
  return grew;
}

// Scores in base 2 of a tile, ready for softmax: those that an editor or a scale of 0 or less wants to see
// are scaled here, the others in the exponential. Returns the factor that is left.
inline float finish_scores(const AttentionExtents& x, const ScoreEditor& editor, const KeyTile& tile,
                           std::int64_t nq, float* scores, std::int64_t stride, float* slopes) {
  float factor = x.scale * log2_e;
  if (editor.active() || factor <= 0.0f) {
    for (std::int64_t lane = 0; lane < nq; lane += width) {
      const Interval keys = lane_keys(tile, lane, nq);
      for (std::int64_t j = keys.begin; j < keys.end; ++j)
        store(scores + j * stride + lane, mul(broadcast(factor), load(scores + j * stride + lane)));
    }
    factor = 1.0f;
  }
  if (editor.active()) editor.edit(tile, scores, stride, slopes);
  hide_edges(tile, nq, scores, stride);
  return factor;
}

// Keys of a tile that nobody edits: long enough that loading and storing sums does not show.
inline constexpr std::int64_t long_block = 128;

// As AttentionHead::tile, of at most `most` keys.
inline KeyTile key_tile(const AttentionHead& head, std::int64_t t0, std::int64_t j0, std::int64_t end,
                        std::int64_t most) {
  KeyTile tile = head.tile(t0, j0, end);
  tile.n = std::min(most, (j0 < head.prefix ? std::min(head.prefix, end) : end) - j0);
  return tile;
}

// What blocks of a worker use one after another.
struct ForwardTools {
  ForwardTools(const AttentionForwardBf16& call, Arena& arena)
      : tile_keys(edits_scores(call.x, call.biases) || call.x.dropout.active() ? key_block : long_block),
        scores(arena.take(tile_keys * max_block)),
        weights(arena.take(tile_keys * max_block / pair)),
        turned(arena.take(round_up(call.x.key_width))),
        editor(call.x, call.biases, arena),
        dropout(call.exec, call.x, arena) {}

  std::int64_t tile_keys;
  float *scores, *weights, *turned;
  ScoreEditor editor;
  LaneDropout dropout;
};

class ForwardBlock {
 public:
  ForwardBlock(const AttentionForwardBf16& call, ForwardTools& tools, Arena& arena)
      : call_(call),
        x_(call.x),
        tools_(tools),
        columns_(round_up(x_.value_width)),
        queries_(x_.key_width, false, arena),
        mixed_(arena.take(max_block * columns_)),
        inverse_(arena.take(max_block)),
        state_{arena.take(max_block), arena.take(max_block), arena.take(max_block)} {}

  void begin(const AttentionHead& head, std::int64_t t0, std::int64_t t1) {
    head_ = &head;
    t0_ = t0;
    nq_ = t1 - t0;
    stride_ = round_up(nq_);
    started_ = false;
    seen_ = head.visible(t0, t1);
    const float sink = call_.biases.sinks ? call_.biases.sinks[head.h] * log2_e : no_score;
    const Floats top = broadcast(std::max(lowest, sink));
    const Floats sum = sink > lowest ? broadcast(1.0f) : zero();
    for (std::int64_t i = 0; i < stride_; i += width) {
      store(state_.largest + i, top);
      store(state_.sum + i, sum);
    }
    if (seen_.count() <= 0) return;
    query_units(x_, head, call_.in.q, t0, t1, tools_.turned, queries_);
    queries_.arrange(nq_);
  }

  // The tiles of a chunk. Chunks come in order.
  void add(const KeyUnits& chunk) {
    tools_.editor.enter(*head_, t0_, nq_);
    tools_.dropout.enter(*head_, t0_, nq_);
    const std::int64_t end = std::min(chunk.end(), seen_.end);
    for (std::int64_t j = std::max(chunk.begin(), seen_.begin / pair * pair); j < end;) {
      const KeyTile tile = key_tile(*head_, t0_, j, end, tools_.tile_keys);
      if (!tools_.editor.active() || !tools_.editor.hidden(tile)) add_tile(chunk, tile);
      j += tile.n;
    }
  }

  void finish() {
    normalise();
    bfloat16* const out = call_.out + head_->out + t0_ * x_.out.row;
    for (std::int64_t t = 0; t < nq_; ++t) {
      if (started_)
        round_row(mixed_ + t * columns_, x_.value_width, inverse_[t], out + t * x_.out.row);
      else
        std::fill_n(out + t * x_.out.row, x_.value_width, bfloat16{});
    }
  }

 private:
  void add_tile(const KeyUnits& chunk, const KeyTile& tile) {
    float* const scores = tools_.scores;
    lane_unit_scores(tile, nq_, chunk.k(tile.j0), queries_.units(), queries_.lanes(), scores, stride_);
    const float factor = finish_scores(x_, tools_.editor, tile, nq_, scores, stride_, nullptr);
    const float* const kept = tools_.dropout.draw(tile, stride_);
    bool grew = false;
    for (std::int64_t lane = 0; lane < stride_; lane += width) {
      const LaneState state{state_.largest + lane, state_.sum + lane, state_.rescale + lane};
      grew |= (kept ? &softmax_units<true>
                    : &softmax_units<false>)(scores + lane, stride_, lane_keys(tile, lane, nq_), tile.n,
                                             factor, state, kept + lane, tools_.weights + lane);
    }
    const Panel v = chunk.v_steps(tile.j0);
    const UnitProduct product{.a = tools_.weights,
                              .a_row = 1,
                              .a_step = stride_,
                              .b = v.data,
                              .b_row = v.row,
                              .c = mixed_,
                              .c_row = columns_,
                              .n = units_of(tile.n),
                              .add = started_,
                              .before = grew ? state_.rescale : nullptr};
    if (chunk.v_finite())
      multiply_units(product, nq_, columns_, tile.edges);
    else
      multiply_seen_units(product, nq_, columns_);
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

  const AttentionForwardBf16& call_;
  const AttentionExtents& x_;
  ForwardTools& tools_;
  std::int64_t columns_;
  UnitBlock queries_;
  float *mixed_, *inverse_;
  LaneState state_;
  const AttentionHead* head_ = nullptr;
  std::int64_t t0_ = 0, nq_ = 0, stride_ = 0;
  Interval seen_{0, 0};
  bool started_ = false;  // a tile was added
};

inline QueryBlocks cut_queries(std::int64_t queries) { return QueryBlocks(queries, width, block_vectors, 0); }

// A worker's blocks of queries. Up to `group` blocks go over a head's keys together, chunk by chunk, so that
// keys and values are laid out once for all of them.
class ForwardWorker {
 public:
  ForwardWorker(const AttentionForwardBf16& call, Arena& arena)
      : x_(call.x),
        tools_(call, arena),
        chunk_(call.x, call.in, KeyUnits::For::forward, arena),
        blocks_{{call, tools_, arena}, {call, tools_, arena}, {call, tools_, arena}, {call, tools_, arena},
                {call, tools_, arena}, {call, tools_, arena}, {call, tools_, arena}, {call, tools_, arena}} {}

  // Blocks u0 .. u1-1 of a head's queries.
  void run(const AttentionHead& head, const QueryBlocks& cut, std::int64_t u0, std::int64_t u1) {
    for (std::int64_t u = u0; u < u1; u += group) run_group(head, cut, u, std::min(u + group, u1));
  }

 private:
  static constexpr std::int64_t group = 8;

  void run_group(const AttentionHead& head, const QueryBlocks& cut, std::int64_t u0, std::int64_t u1) {
    for (std::int64_t u = u0; u < u1; ++u) blocks_[u - u0].begin(head, cut.begin(u), cut.end(u));
    const Interval seen = head.visible(cut.begin(u0), cut.end(u1 - 1));
    const std::int64_t step = chunk_keys(x_);
    for (std::int64_t j = seen.begin / step * step; j < seen.end; j += step) {
      chunk_.move_to(head, std::max(j, seen.begin / pair * pair), std::min(j + step, seen.end));
      for (std::int64_t u = u0; u < u1; ++u) blocks_[u - u0].add(chunk_);
    }
    for (std::int64_t u = u0; u < u1; ++u) blocks_[u - u0].finish();
  }

  const AttentionExtents& x_;
  ForwardTools tools_;
  KeyUnits chunk_;
  ForwardBlock blocks_[group];
};

// body(head, its blocks) for every head.
template <class Body>
void for_each_head(const AttentionExtents& x, const Body& body) {
  for (std::int64_t b = 0; b < x.sequences; ++b) {
    const QueryBlocks cut = cut_queries(x.q_count[b]);
    for (std::int64_t h = 0; h < x.heads; ++h) body(AttentionHead(x, b, h), cut);
  }
}

inline double block_cost(const AttentionExtents& x, const AttentionHead& head, const QueryBlocks& cut,
                         std::int64_t u) {
  return attention_cost(x, head, cut.begin(u), cut.end(u));
}

void attention_forward(const AttentionForwardBf16& call) {
  const AttentionExtents& x = call.x;
  double total = 0.0;
  for_each_head(x, [&](const AttentionHead& head, const QueryBlocks& cut) {
    for (std::int64_t u = 0; u < cut.blocks; ++u) total += block_cost(x, head, cut, u);
  });
  const int workers = workers_for(call.exec, total);
  Arena count;
  ForwardWorker(call, count);
  run_workers(call.exec, workers, [&](int worker) {
    Arena arena(call.exec.workspace->get(worker, 3, count.used()));
    ForwardWorker work(call, arena);
    const Share share(total, worker, workers);
    double at = 0.0;
    for_each_head(x, [&](const AttentionHead& head, const QueryBlocks& cut) {
      std::int64_t u0 = cut.blocks, u1 = 0;
      for (std::int64_t u = 0; u < cut.blocks; ++u) {
        const double cost = block_cost(x, head, cut, u);
        if (share.owns(at, cost)) u0 = std::min(u0, u), u1 = u + 1;
        at += cost;
      }
      if (u0 < u1) work.run(head, cut, u0, u1);
    });
  });
}
