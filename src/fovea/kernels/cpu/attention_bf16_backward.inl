// Backward in bf16, as attention_backward.inl: with p the weights, m the dropout multipliers,
// dp = m * (d_out.v), delta = d_out.out and c the slope of the soft cap
//   d_v += (m p)^T d_out,   ds = p (dp - delta),   d_q += c ds k,   d_k += (c ds)^T q
// m p and c ds are rounded to bf16 as they are multiplied; sums are floats, times scale and rounded once at
// their end. Included by attention_bf16.inl.

// What one product reads rows from: unit (row, step) is data[row*row_stride + step*step_stride].
struct Factors {
  const float* data;
  std::int64_t row, step;
};

// Weights and d_scores of a block of queries, a tile at a time.
class BackwardBlock {
 public:
  BackwardBlock(const AttentionBackwardBf16& call, Arena& arena)
      : call_(call),
        x_(call.x),
        turned_(arena.take(round_up(x_.key_width))),
        queries_(x_.key_width, true, arena),
        d_outs_(x_.value_width, true, arena),
        scores_(arena.take(key_block * max_block)),
        d_weights_(arena.take(key_block * max_block)),
        slopes_(x_.soft_cap > 0.0f ? arena.take(key_block * max_block) : nullptr),
        weights_by_key_(arena.take(key_block * max_block / pair)),
        d_scores_by_key_(arena.take(key_block * max_block / pair)),
        d_scores_by_query_(pair > 1 ? arena.take(key_block * max_block / pair) : d_scores_by_key_),
        lse_(arena.take(max_block)),
        delta_(arena.take(max_block)),
        editor_(x_, call.biases, arena),
        dropout_(call.exec, x_, arena) {}

  void begin(const AttentionHead& head, std::int64_t t0, std::int64_t t1) {
    nq_ = t1 - t0;
    stride_ = round_up(nq_);
    q_finite_ = query_units(x_, head, call_.in.q, t0, t1, turned_, queries_);
    queries_.arrange(nq_);
    d_out_finite_ = lanes_finite_ = true;
    for (std::int64_t t = t0; t < t1; ++t) {
      const bfloat16* const d_out = call_.d_out + head.out + t * x_.out.row;
      d_out_finite_ &= row_to_units(d_out, x_.value_width, d_outs_.row(t - t0));
      lane_constants(head, t, t - t0);
    }
    d_outs_.arrange(nq_);
    std::fill(lse_ + nq_, lse_ + stride_, -lowest);
    std::fill(delta_ + nq_, delta_ + stride_, 0.0f);
    editor_.enter(head, t0, nq_);
    dropout_.enter(head, t0, nq_);
  }

  // The factors of a tile's products; 0 where hidden. False if masks hide the whole tile.
  bool compute(const KeyTile& tile, const KeyUnits& chunk) {
    return evaluate(tile, chunk, [&](bool careful, const float* kept) {
      return careful ? (kept ? &BackwardBlock::column<true, true, true>
                             : &BackwardBlock::column<false, true, true>)
                     : (kept ? &BackwardBlock::column<true, false, true>
                             : &BackwardBlock::column<false, false, true>);
    });
  }
  // ds of a tile in floats, without the slope of the soft cap; 0 where hidden.
  bool compute_pairs(const KeyTile& tile, const KeyUnits& chunk) {
    return evaluate(tile, chunk, [&](bool, const float* kept) {
      return kept ? &BackwardBlock::column<true, true, false> : &BackwardBlock::column<false, true, false>;
    });
  }

  Factors weights_by_key() const { return {weights_by_key_, stride_ / pair, 1}; }
  Factors d_scores_by_key() const { return {d_scores_by_key_, stride_ / pair, 1}; }
  Factors d_scores_by_query() const { return {d_scores_by_query_, 1, stride_}; }
  const float* d_scores() const { return d_weights_; }  // of compute_pairs
  std::int64_t stride() const { return stride_; }
  Panel q() const { return queries_.steps(); }
  Panel d_out() const { return d_outs_.steps(); }
  bool q_finite() const { return q_finite_; }
  bool d_out_finite() const { return d_out_finite_; }

 private:
  // log sum exp in base 2, so large where nothing is seen that weights vanish, and delta.
  void lane_constants(const AttentionHead& head, std::int64_t t, std::int64_t lane) {
    const float lse = call_.log_sum_exp[head.h * call_.lse_stride + head.query_row + t];
    const std::int64_t row = head.out + t * x_.out.row;
    lse_[lane] = lse == no_score ? -lowest : lse * log2_e;
    delta_[lane] = dot_rows(call_.out + row, call_.d_out + row, x_.value_width);
    lanes_finite_ = lanes_finite_ && delta_[lane] - delta_[lane] == 0.0f && lse_[lane] - lse_[lane] == 0.0f;
  }

  template <class Choice>
  bool evaluate(const KeyTile& tile, const KeyUnits& chunk, const Choice& choice) {
    if (editor_.active() && editor_.hidden(tile)) return false;
    lane_unit_scores(tile, nq_, chunk.k(tile.j0), queries_.units(), queries_.lanes(), scores_, stride_);
    lane_unit_scores(tile, nq_, chunk.v(tile.j0), d_outs_.units(), d_outs_.lanes(), d_weights_, stride_);
    const float factor = finish_scores(x_, editor_, tile, nq_, scores_, stride_, slopes_);
    const float* const kept = dropout_.draw(tile, stride_);
    const auto column = choice(!lanes_finite_ || !d_out_finite_ || !chunk.v_finite(), kept);
    for (std::int64_t lane = 0; lane < stride_; lane += width)
      (this->*column)(lane, lane_keys(tile, lane, nq_), tile.n, factor, kept);
    return true;
  }

  // One lane vector of a tile: scores and d_out.v in, factors out (Packed) or ds. Careful: p = 0 may meet
  // what is not finite.
  template <bool Dropped, bool Careful, bool Packed>
  void column(std::int64_t lane, Interval keys, std::int64_t n, float factor, const float* kept) {
    const Floats scale = broadcast(factor), delta = load(delta_ + lane);
    const Floats below = sub(zero(), load(lse_ + lane));
    const std::int64_t first = keys.begin / pair, last = std::max((keys.end + pair - 1) / pair, first);
    if (first * pair < keys.begin) clear_scores(first * pair * stride_ + lane);
    if (last * pair > keys.end) clear_scores(keys.end * stride_ + lane);
    if constexpr (Packed) {
      const Floats nothing[2] = {zero(), zero()};
      for (std::int64_t unit = 0; unit < first; ++unit) store_factors(unit, lane, nothing, nothing);
      for (std::int64_t unit = last; unit * pair < n; ++unit) store_factors(unit, lane, nothing, nothing);
    }
    for (std::int64_t unit = first; unit < last; ++unit) {
      Floats mp[pair], ds[pair];
      FOVEA_UNROLL for (int i = 0; i < pair; ++i) {
        const std::int64_t key = unit * pair + i, at = key * stride_ + lane;
        const Floats score = load(scores_ + at);
        Floats p = weight_exp2(fma(score, scale, below)), dp = load(d_weights_ + at);
        if constexpr (Careful) p = select_less(score, broadcast(lowest), zero(), p);
        mp[i] = p;
        if constexpr (Dropped) {
          const Floats m = load(kept + std::min(key, keys.end - 1) * stride_ + lane);
          mp[i] = mul(p, m);
          dp = mul(dp, m);
        }
        ds[i] = mul(p, sub(dp, delta));
        if constexpr (Careful) ds[i] = select_less(score, broadcast(lowest), zero(), ds[i]);
        if constexpr (!Packed) store(d_weights_ + at, ds[i]);
        if (Packed && slopes_ && key < keys.end) ds[i] = mul(ds[i], load(slopes_ + at));
      }
      if constexpr (Packed) store_factors(unit, lane, mp, ds);
    }
  }

  void clear_scores(std::int64_t at) {
    store(scores_ + at, broadcast(no_score));
    store(d_weights_ + at, zero());
    if (slopes_) store(slopes_ + at, zero());
  }

  FOVEA_INLINE void store_factors(std::int64_t unit, std::int64_t lane, const Floats* mp, const Floats* ds) {
    const std::int64_t by_key = (unit * pair * stride_ + lane) / pair, row = stride_ / pair;
    store_weights<false, true>(mp, nullptr, weights_by_key_ + by_key, row);
    store_weights<(pair > 1), true>(ds, d_scores_by_query_ + unit * stride_ + lane, d_scores_by_key_ + by_key,
                                    row);
  }

  const AttentionBackwardBf16& call_;
  const AttentionExtents& x_;
  float* turned_;
  UnitBlock queries_, d_outs_;
  float *scores_, *d_weights_, *slopes_, *weights_by_key_, *d_scores_by_key_, *d_scores_by_query_, *lse_,
      *delta_;
  ScoreEditor editor_;
  LaneDropout dropout_;
  std::int64_t nq_ = 0, stride_ = 0;
  bool q_finite_ = true, d_out_finite_ = true, lanes_finite_ = true;
};

// Tiles of ds in one fixed order, as the gradients of biases want them.
class PairGradients {
 public:
  PairGradients(const AttentionBackwardBf16& call, Arena& arena)
      : x_(call.x), block_(call, arena), chunk_(call.x, call.in, KeyUnits::For::backward, arena) {}

  // body(tile, ds, stride) for the tiles of queries [t0, t1) of a head.
  template <class Body>
  void for_each_tile(const AttentionHead& head, std::int64_t t0, std::int64_t t1, const Body& body) {
    const Interval seen = head.visible(t0, t1);
    if (seen.count() <= 0) return;
    block_.begin(head, t0, t1);
    const std::int64_t step = chunk_keys(x_);
    for (std::int64_t c = seen.begin / step * step; c < seen.end; c += step) {
      chunk_.move_to(head, c, std::min(c + step, head.keys));
      const std::int64_t end = std::min(chunk_.end(), seen.end);
      for (std::int64_t j = std::max(c, seen.begin / pair * pair); j < end;) {
        const KeyTile tile = head.tile(t0, j, end);
        if (block_.compute_pairs(tile, chunk_)) body(tile, block_.d_scores(), block_.stride());
        j += tile.n;
      }
    }
  }

 private:
  const AttentionExtents& x_;
  BackwardBlock block_;
  KeyUnits chunk_;
};

// How a (sequence, key head)'s keys are cut into parts, which workers may share: a function of the call's
// shape alone. Gradients of keys and values belong to one part; those of queries are summed over parts in
// order.
struct KeyParts {
  std::int64_t count, keys;
  KeyParts(const AttentionExtents& x, std::int64_t S) {
    const std::int64_t units = x.sequences * x.kv_heads, wanted = units <= 2 ? 4 : units < 16 ? 2 : 1;
    count = std::clamp<std::int64_t>(S / 256, 1, wanted);
    keys = (S + count - 1) / count;
    keys = std::max<std::int64_t>((keys + key_block - 1) / key_block * key_block, key_block);
    count = std::max<std::int64_t>((S + keys - 1) / keys, 1);
  }
  Interval part(std::int64_t p, std::int64_t S) const { return {p * keys, std::min((p + 1) * keys, S)}; }
};

// Gradients of one part of the keys of one (sequence, key head), chunk by chunk: a chunk's keys, values and
// their gradients stay in the second cache while all queries pass.
class BackwardPart {
 public:
  BackwardPart(const AttentionBackwardBf16& call, Arena& arena)
      : call_(call),
        x_(call.x),
        key_columns_(round_up(x_.key_width)),
        value_columns_(round_up(x_.value_width)),
        block_(call, arena),
        chunk_(x_, call.in, KeyUnits::For::backward, arena),
        d_k_(arena.take(KeyUnits::most_rows(x_) * key_columns_)),
        d_v_(arena.take(KeyUnits::most_rows(x_) * value_columns_)) {}

  // d_q, without scale, of query t of the group's head i: row i*T + t of `d_q`, of round_up(E) floats.
  void run(std::int64_t b, std::int64_t kv_head, Interval part, float* d_q) {
    const std::int64_t group = x_.heads / x_.kv_heads, step = chunk_keys(x_);
    const AttentionHead first(x_, b, kv_head * group);
    const QueryBlocks cut = cut_queries(first.queries);
    std::fill_n(d_q, group * first.queries * key_columns_, 0.0f);
    for (std::int64_t j = part.begin; j < part.end; j += step) {
      const Interval keys{j, std::min(j + step, part.end)};
      chunk_.move_to(first, keys.begin, keys.end);
      std::fill_n(d_k_, keys.count() * key_columns_, 0.0f);
      std::fill_n(d_v_, keys.count() * value_columns_, 0.0f);
      for (std::int64_t h = 0; h < group; ++h) {
        const AttentionHead head(x_, b, kv_head * group + h);
        for (std::int64_t i = 0; i < cut.blocks; ++i)
          queries(head, cut.begin(i), cut.end(i), d_q + h * head.queries * key_columns_);
      }
      leave(first, keys);
    }
  }

 private:
  void leave(const AttentionHead& head, Interval keys) const {
    for (std::int64_t j = keys.begin; j < keys.end; ++j) {
      float* const d_k = d_k_ + (j - keys.begin) * key_columns_;
      if (x_.rotary.active()) rotate_row(x_.rotary, head.key_position(x_.rotary, j), true, d_k);
      round_row(d_k, x_.key_width, x_.scale, call_.d.k + head.k + j * x_.k.row);
      round_row(d_v_ + (j - keys.begin) * value_columns_, x_.value_width, 1.0f,
                call_.d.v + head.v + j * x_.v.row);
    }
  }

  // A block of queries against the chunk.
  void queries(const AttentionHead& head, std::int64_t t0, std::int64_t t1, float* d_q) {
    const Interval seen = head.visible(t0, t1);
    const std::int64_t begin = std::max(seen.begin / pair * pair, chunk_.begin());
    const std::int64_t end = std::min(seen.end, chunk_.end());
    if (begin >= end) return;
    block_.begin(head, t0, t1);
    for (std::int64_t j = begin; j < end;) {
      const KeyTile tile = head.tile(t0, j, end);
      if (block_.compute(tile, chunk_)) add_tile(tile, t1 - t0, d_q + t0 * key_columns_);
      j += tile.n;
    }
  }

  void add_tile(const KeyTile& tile, std::int64_t nq, float* d_q) {
    const std::int64_t at = tile.j0 - chunk_.begin();
    const auto add = [](const Factors& a, Panel b, bool finite, float* c, std::int64_t rows,
                        std::int64_t columns, std::int64_t steps, const Edges& edges) {
      const UnitProduct product{.a = a.data,
                                .a_row = a.row,
                                .a_step = a.step,
                                .b = b.data,
                                .b_row = b.row,
                                .c = c,
                                .c_row = columns,
                                .n = units_of(steps),
                                .add = true};
      return finite ? multiply_units(product, rows, columns, edges)
                    : multiply_seen_units(product, rows, columns);
    };
    const Edges by_key = tile.edges.transposed();
    add(block_.weights_by_key(), block_.d_out(), block_.d_out_finite(), d_v_ + at * value_columns_, tile.n,
        value_columns_, nq, by_key);
    add(block_.d_scores_by_key(), block_.q(), block_.q_finite(), d_k_ + at * key_columns_, tile.n,
        key_columns_, nq, by_key);
    add(block_.d_scores_by_query(), chunk_.k_steps(tile.j0), chunk_.k_finite(), d_q, nq, key_columns_, tile.n,
        tile.edges);
  }

  const AttentionBackwardBf16& call_;
  const AttentionExtents& x_;
  std::int64_t key_columns_, value_columns_;
  BackwardBlock block_;
  KeyUnits chunk_;
  float *d_k_, *d_v_;
};

// Who does which parts: units in order of (sequence, key head, part), by cost.
class BackwardPlan {
 public:
  explicit BackwardPlan(const AttentionBackwardBf16& call)
      : call_(call), x_(call.x), key_columns_(round_up(x_.key_width)) {
    for (std::int64_t b = 0; b < x_.sequences; ++b) {
      const KeyParts parts(x_, x_.k_count[b]);
      for (std::int64_t p = 0; p < parts.count; ++p)
        total_ += static_cast<double>(x_.kv_heads) * cost(b, parts.part(p, x_.k_count[b]));
      most_queries_ = std::max(most_queries_, x_.q_count[b]);
      most_parts_ = std::max(most_parts_, parts.count);
    }
    workers_ = workers_for(call.exec, total_);
    sums_ = x_.heads / x_.kv_heads * most_queries_ * key_columns_;
  }

  // A worker that does a whole head adds its parts up; one head at most is split where a worker's share ends
  // and leaves the sums of each part to be added in the end.
  void run() {
    Arena count;
    BackwardPart(call_, count);
    float* const split =
        workers_ > 1 && most_parts_ > 1
            ? call_.exec.workspace->get(0, 5, static_cast<std::size_t>((workers_ - 1) * most_parts_ * sums_))
            : nullptr;
    const auto left = [&](int owner, std::int64_t p) { return split + (owner * most_parts_ + p) * sums_; };
    const std::int64_t own = most_parts_ > 1 ? 2 : 1;
    run_workers(call_.exec, workers_, [&](int worker) {
      Arena arena(call_.exec.workspace->get(worker, 3, count.used() + static_cast<std::size_t>(own * sums_)));
      BackwardPart work(call_, arena);
      float *const sum = arena.take(sums_), *const addend = own > 1 ? arena.take(sums_) : nullptr;
      for_each_part([&](std::int64_t b, std::int64_t kv_head, const KeyParts& parts, const int* owners) {
        const bool whole = owners[0] == owners[parts.count - 1];
        for (std::int64_t p = 0; p < parts.count; ++p) {
          if (owners[p] != worker) continue;
          float* const to = !whole ? left(owners[0], p) : p == 0 ? sum : addend;
          work.run(b, kv_head, parts.part(p, x_.k_count[b]), to);
          if (whole && p > 0) add_row(addend, sum_floats(b), sum);
        }
        if (whole && owners[0] == worker) finish(b, kv_head, sum);
      });
    });
    if (!split) return;
    for_each_part([&](std::int64_t b, std::int64_t kv_head, const KeyParts& parts, const int* owners) {
      if (owners[0] == owners[parts.count - 1]) return;
      for (std::int64_t p = 1; p < parts.count; ++p)
        add_row(left(owners[0], p), sum_floats(b), left(owners[0], 0));
      finish(b, kv_head, left(owners[0], 0));
    });
  }

 private:
  std::int64_t sum_floats(std::int64_t b) const {
    return x_.heads / x_.kv_heads * x_.q_count[b] * key_columns_;
  }

  double cost(std::int64_t b, Interval part) const {
    const AttentionHead head(x_, b, 0);
    double pairs = 0.0;
    for (std::int64_t t = 0; t < head.queries; t += max_block) {
      const std::int64_t end = std::min(t + max_block, head.queries);
      const Interval seen = head.visible(t + (end - t) / 2);
      pairs +=
          static_cast<double>((end - t) * std::max<std::int64_t>(0, std::min(seen.end, part.end) -
                                                                        std::max(seen.begin, part.begin)));
    }
    const double columns = static_cast<double>(x_.key_width + x_.value_width);
    return static_cast<double>(x_.heads / x_.kv_heads) * (2.5 * pairs * (columns + 20.0) + 1000.0) +
           static_cast<double>(part.count()) * columns + 1000.0;
  }

  // body(b, kv_head, parts, owner of each part) in order.
  template <class Body>
  void for_each_part(const Body& body) const {
    double at = 0.0;
    for (std::int64_t b = 0; b < x_.sequences; ++b) {
      const KeyParts parts(x_, x_.k_count[b]);
      double costs[4];
      for (std::int64_t p = 0; p < parts.count; ++p) costs[p] = cost(b, parts.part(p, x_.k_count[b]));
      for (std::int64_t kv_head = 0; kv_head < x_.kv_heads; ++kv_head) {
        int owners[4];
        for (std::int64_t p = 0; p < parts.count; ++p) {
          const double middle = (at + costs[p] / 2) / total_ * workers_;
          owners[p] = std::clamp(static_cast<int>(middle), 0, workers_ - 1);
          at += costs[p];
        }
        body(b, kv_head, parts, owners);
      }
    }
  }

  // Sums become d_q.
  void finish(std::int64_t b, std::int64_t kv_head, float* sums) const {
    const std::int64_t group = x_.heads / x_.kv_heads;
    for (std::int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
      const AttentionHead head(x_, b, h);
      for (std::int64_t t = 0; t < head.queries; ++t, sums += key_columns_) {
        if (x_.rotary.active()) rotate_row(x_.rotary, head.query_position(x_.rotary, t), true, sums);
        round_row(sums, x_.key_width, x_.scale, call_.d.q + head.q + t * x_.q.row);
      }
    }
  }

  const AttentionBackwardBf16& call_;
  const AttentionExtents& x_;
  std::int64_t key_columns_;
  double total_ = 0.0;
  int workers_ = 1;
  std::int64_t most_queries_ = 0, most_parts_ = 1, sums_ = 0;
};

void attention_backward(const AttentionBackwardBf16& call) {
  BackwardPlan(call).run();
  if (call.d.bias) bias_gradient<PairGradients>(call);
  if (call.d.relative) relative_gradient<PairGradients>(call);
}
