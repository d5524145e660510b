// Backward. Weights are computed again from log sum exp, in tiles of [keys, queries] as forward. With p the
// weights, m the dropout multipliers, dp = m * (d_out.v), delta = d_out.out and c the slope of the soft cap:
//   d_v += (m p)^T d_out,   ds = p (dp - delta),   da = scale * c * ds,   d_q += da k,   d_k += da^T q
// Included by attention.inl.

// Weights and d_scores of a block of queries, a tile at a time.
class BackwardBlock {
 public:
  BackwardBlock(const AttentionBackward& call, Arena& arena)
      : call_(call),
        x_(call.x),
        q_lanes_(arena.take(x_.key_width * max_block)),
        d_out_lanes_(arena.take(x_.value_width * max_block)),
        q_rows_(arena.take(max_block * round_up(x_.key_width))),
        d_out_rows_(arena.take(max_block * round_up(x_.value_width))),
        weights_(arena.take(key_block * max_block)),
        d_scores_(arena.take(key_block * max_block)),
        slopes_(x_.soft_cap > 0.0f ? arena.take(key_block * max_block) : nullptr),
        lse_(arena.take(max_block)),
        delta_(arena.take(max_block)),
        editor_(x_, call.in, arena),
        dropout_(call.exec, x_, arena) {}

  void begin(const AttentionHead& head, std::int64_t t0, std::int64_t t1) {
    nq_ = t1 - t0;
    stride_ = round_up(nq_);
    const float* const d_out = call_.d_out + head.out + t0 * x_.out.row;
    q_ = query_rows(x_, head, call_.in.q, t0, t1, q_rows_);
    rows_to_lanes(q_.data, q_.row, nq_, x_.key_width, x_.scale * log2_e, q_lanes_, stride_);
    rows_to_lanes(d_out, x_.out.row, nq_, x_.value_width, 1.0f, d_out_lanes_, stride_);
    d_out_ = {d_out, x_.out.row};
    if (x_.value_width % width) {
      d_out_ = {d_out_rows_, round_up(x_.value_width)};
      for (std::int64_t t = 0; t < nq_; ++t)
        copy_row_padded(d_out + t * x_.out.row, x_.value_width, d_out_rows_ + t * d_out_.row);
    }
    lane_constants(head, t0, d_out);
    editor_.enter(head, t0, nq_);
    dropout_.enter(head, t0, nq_);
  }

  // m p and da of a tile's visible pairs, or ds without `scaled`; of pairs that the edges hide nothing, or
  // zeros with `zeros`. False if masks hide the whole tile.
  bool compute(const KeyTile& tile, Panel k, Panel v, bool scaled = true, bool zeros = false) {
    if (editor_.active() && editor_.hidden(tile)) return false;
    lane_scores(tile, nq_, k, x_.key_width, q_lanes_, weights_, stride_);
    lane_scores(tile, nq_, v, x_.value_width, d_out_lanes_, d_scores_, stride_);
    if (editor_.active()) editor_.edit(tile, weights_, stride_, slopes_);
    if (zeros) hide_edges(tile, nq_, weights_, stride_);
    const float* const kept = dropout_.draw(tile, stride_);
    const auto column =
        editor_.active()
            ? (kept ? &BackwardBlock::column<true, true> : &BackwardBlock::column<false, true>)
            : (kept ? &BackwardBlock::column<true, false> : &BackwardBlock::column<false, false>);
    for (std::int64_t lane = 0; lane < stride_; lane += width)
      (this->*column)(lane, lane_keys(tile, lane, nq_), kept, scaled);
    return true;
  }

  const float* weights() const { return weights_; }
  const float* d_scores() const { return d_scores_; }
  std::int64_t stride() const { return stride_; }
  Panel q() const { return q_; }  // rows for a product's B
  Panel d_out() const { return d_out_; }
  bool hides() const { return editor_.hides(); }

 private:
  // log sum exp in base 2, so large where nothing is seen that weights vanish, and delta.
  void lane_constants(const AttentionHead& head, std::int64_t t0, const float* d_out) {
    const float* const lse = call_.log_sum_exp + head.h * call_.lse_stride + head.query_row + t0;
    const float* const out = call_.out + head.out + t0 * x_.out.row;
    for (std::int64_t first = 0; first < nq_; first += width) {
      const int lanes = static_cast<int>(std::min<std::int64_t>(width, nq_ - first));
      const Floats own = mul(load_first(lse + first, lanes), broadcast(log2_e));
      store(lse_ + first, select_less(own, broadcast(lowest), broadcast(-lowest), own));
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

  // One lane vector of a tile: scores and d_out.v in, m p and da out. Edited: pairs with p = 0 may be hidden
  // ones, whose d_out.v is nobody's.
  template <bool Dropped, bool Edited>
  void column(std::int64_t lane, Interval keys, const float* kept, bool scaled) {
    const Floats lse = load(lse_ + lane), delta = load(delta_ + lane);
    const Floats scale = broadcast(scaled ? x_.scale : 1.0f);
    for (std::int64_t j = keys.begin; j < keys.end; ++j) {
      const std::int64_t at = j * stride_ + lane;
      const Floats p = exp2(sub(load(weights_ + at), lse));
      Floats mp = p, dp = load(d_scores_ + at);
      if constexpr (Dropped) {
        const Floats m = load(kept + at);
        mp = mul(p, m);
        dp = mul(dp, m);
      }
      Floats ds = mul(mul(scale, p), sub(dp, delta));
      if constexpr (Edited) {
        if (slopes_ && scaled) ds = mul(ds, load(slopes_ + at));
        ds = select_less(p, broadcast(1e-45f), zero(), ds);
      }
      store(weights_ + at, mp);
      store(d_scores_ + at, ds);
    }
  }

  const AttentionBackward& call_;
  const AttentionExtents& x_;
  float *q_lanes_, *d_out_lanes_, *q_rows_, *d_out_rows_, *weights_, *d_scores_, *slopes_, *lse_, *delta_;
  ScoreEditor editor_;
  LaneDropout dropout_;
  Panel q_{}, d_out_{};
  std::int64_t nq_ = 0, stride_ = 0;
};

struct Rows {
  float* data;
  std::int64_t row;
  Rows from(std::int64_t r) const { return {data + r * row, row}; }
};

// How a (sequence, key head)'s keys are cut into parts, which workers may share. Gradients of keys and values
// belong to one part; those of queries are summed over parts in order. Where there are heads enough for
// everyone one part is cheapest.
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
  BackwardPart(const AttentionBackward& call, Arena& arena)
      : call_(call),
        x_(call.x),
        key_columns_(round_up(x_.key_width)),
        value_columns_(round_up(x_.value_width)),
        block_(call, arena),
        chunk_(x_, call.in, arena),
        d_q_rows_(arena.take(max_block * key_columns_)),
        d_k_rows_(arena.take(KeyChunk::capacity(x_) * key_columns_)),
        d_v_rows_(arena.take(KeyChunk::capacity(x_) * value_columns_)) {}

  // d_q of head h0 + i, query t: row i*d_q_head + t*d_q.row of d_q.
  void run(std::int64_t b, std::int64_t kv_head, Interval part, Rows d_q, std::int64_t d_q_head) {
    const std::int64_t group = x_.heads / x_.kv_heads, step = chunk_keys(x_);
    const AttentionHead first(x_, b, kv_head * group);
    const QueryBlocks cut(first.queries, width, block_vectors, 0);
    part_ = part;
    clear_unseen(first, cut, d_q, d_q_head, group);
    for (std::int64_t j = part.begin; j < part.end; j += step) {
      const Interval keys{j, std::min(j + step, part.end)};
      enter(first, keys, cut.blocks == 1 && group == 1);
      for (std::int64_t h = 0; h < group; ++h) {
        const AttentionHead head(x_, b, kv_head * group + h);
        for (std::int64_t i = 0; i < cut.blocks; ++i)
          queries(head, cut.begin(i), cut.end(i), {d_q.data + h * d_q_head, d_q.row});
      }
      leave(first, keys);
    }
  }

 private:
  // Queries that see nothing of the part get zeros.
  void clear_unseen(const AttentionHead& head, const QueryBlocks& cut, Rows d_q, std::int64_t d_q_head,
                    std::int64_t group) const {
    for (std::int64_t i = 0; i < cut.blocks; ++i) {
      const Interval seen = head.visible(cut.begin(i), cut.end(i));
      if (std::max(seen.begin, part_.begin) < std::min(seen.end, part_.end)) continue;
      for (std::int64_t h = 0; h < group; ++h)
        for (std::int64_t t = cut.begin(i); t < cut.end(i); ++t)
          std::fill_n(d_q.data + h * d_q_head + t * d_q.row, x_.key_width, 0.0f);
    }
  }

  // A chunk that one block of one head sees whole gets one contribution a key: nothing to add to, and rows
  // may be read and written where they are.
  void enter(const AttentionHead& head, Interval keys, bool single) {
    const Interval seen = head.visible(0, std::max<std::int64_t>(head.queries, 1));
    once_ = single && !block_.hides() && head.queries > 0 && seen.begin <= keys.begin && seen.end >= keys.end;
    chunk_.move_to(head, keys.begin, keys.end, single && x_.key_width % width == 0, single);
    d_k_ = {d_k_rows_, key_columns_};
    d_v_ = {d_v_rows_, value_columns_};
    if (once_ && x_.key_width % width == 0 && !x_.rotary.active())
      d_k_ = Rows{call_.d.k + head.k, x_.k.row}.from(keys.begin);
    if (once_ && x_.value_width % width == 0) d_v_ = Rows{call_.d.v + head.v, x_.v.row}.from(keys.begin);
    if (once_) return;
    std::fill_n(d_k_rows_, keys.count() * key_columns_, 0.0f);
    std::fill_n(d_v_rows_, keys.count() * value_columns_, 0.0f);
  }

  void leave(const AttentionHead& head, Interval keys) const {
    for (std::int64_t j = keys.begin; j < keys.end; ++j) {
      float *const d_k = d_k_rows_ + (j - keys.begin) * key_columns_, *const d_v =
                                                                          d_v_rows_ +
                                                                          (j - keys.begin) * value_columns_;
      if (d_k_.data == d_k_rows_) {
        if (x_.rotary.active()) rotate_row(x_.rotary, head.key_position(x_.rotary, j), true, d_k);
        copy_row(d_k, x_.key_width, call_.d.k + head.k + j * x_.k.row);
      }
      if (d_v_.data == d_v_rows_) copy_row(d_v, x_.value_width, call_.d.v + head.v + j * x_.v.row);
    }
  }

  // A block of queries against the chunk.
  void queries(const AttentionHead& head, std::int64_t t0, std::int64_t t1, Rows d_q) {
    const Interval seen = head.visible(t0, t1);
    const std::int64_t begin = std::max(seen.begin, chunk_.begin()), end = std::min(seen.end, chunk_.end());
    if (begin >= end) return;
    block_.begin(head, t0, t1);
    const KeyTile only = head.tile(t0, begin, end);
    const bool direct = only.n == seen.count() && x_.key_width % width == 0 && !x_.rotary.active();
    const Rows to = direct ? d_q.from(t0) : Rows{d_q_rows_, key_columns_};
    bool started = false;
    for (std::int64_t j = begin; j < end;) {
      const KeyTile tile = head.tile(t0, j, end);
      if (block_.compute(tile, chunk_.k(j), chunk_.v(j))) {
        add_tile(tile, t1 - t0, to, started);
        started = true;
      }
      j += tile.n;
    }
    const bool first = std::max(seen.begin, part_.begin) >= chunk_.begin();
    if (!started) {
      for (std::int64_t t = t0; first && t < t1; ++t) std::fill_n(d_q.from(t).data, x_.key_width, 0.0f);
    } else if (!direct) {
      for (std::int64_t t = t0; t < t1; ++t) {
        float* const row = d_q_rows_ + (t - t0) * key_columns_;
        if (x_.rotary.active()) rotate_row(x_.rotary, head.query_position(x_.rotary, t), true, row);
        if (first)
          copy_row(row, x_.key_width, d_q.from(t).data);
        else
          add_row(row, x_.key_width, d_q.from(t).data);
      }
    }
  }

  void add_tile(const KeyTile& tile, std::int64_t nq, Rows d_q, bool started) {
    const std::int64_t at = tile.j0 - chunk_.begin(), stride = block_.stride();
    const auto product = [&](Product p, std::int64_t rows, std::int64_t columns) {
      return block_.hides() ? multiply_visible(p, rows, columns) : multiply(p, rows, columns);
    };
    const Panel k = chunk_.k(tile.j0);
    const auto by_keys = [&](const float* a, Panel rows, Rows to, std::int64_t columns) {
      product({.a = a,
               .a_row = stride,
               .a_step = 1,
               .b = rows.data,
               .b_row = rows.row,
               .c = to.data,
               .c_row = to.row,
               .n = nq,
               .edges = tile.edges.transposed(),
               .add = !once_},
              tile.n, columns);
    };
    by_keys(block_.weights(), block_.d_out(), d_v_.from(at), value_columns_);
    by_keys(block_.d_scores(), block_.q(), d_k_.from(at), key_columns_);
    product({.a = block_.d_scores(),
             .a_row = 1,
             .a_step = stride,
             .b = k.data,
             .b_row = k.row,
             .c = d_q.data,
             .c_row = d_q.row,
             .n = tile.n,
             .edges = tile.edges,
             .add = started},
            nq, key_columns_);
  }

  const AttentionBackward& call_;
  const AttentionExtents& x_;
  std::int64_t key_columns_, value_columns_;
  BackwardBlock block_;
  KeyChunk chunk_;
  float *d_q_rows_, *d_k_rows_, *d_v_rows_;
  Rows d_k_{}, d_v_{};
  Interval part_{0, 0};
  bool once_ = false;
};

// Who does which parts: units in order of (sequence, key head, part), by cost.
class BackwardPlan {
 public:
  explicit BackwardPlan(const AttentionBackward& call) : call_(call), x_(call.x) {
    for (std::int64_t b = 0; b < x_.sequences; ++b) {
      const KeyParts parts(x_, x_.k_count[b]);
      for (std::int64_t p = 0; p < parts.count; ++p)
        total_ += static_cast<double>(x_.kv_heads) * cost(b, parts.part(p, x_.k_count[b]));
      most_queries_ = std::max(most_queries_, x_.q_count[b]);
      most_parts_ = std::max(most_parts_, parts.count);
    }
    workers_ = workers_for(call.exec, total_);
    Arena count;
    BackwardPart(call, count);
    scratch_ = count.used();
  }

  void run() {
    const std::int64_t buffer = partial_floats();
    // One head at most is split where a worker's share ends: it leaves its partial sums in the worker's
    // buffers.
    float* const split =
        workers_ > 1 && most_parts_ > 1
            ? call_.exec.workspace->get(0, 5,
                                        static_cast<std::size_t>((workers_ - 1) * buffer * (most_parts_ - 1)))
            : nullptr;
    const auto partial = [&](int owner, std::int64_t p) {
      return split + (owner * (most_parts_ - 1) + p - 1) * buffer;
    };
    run_workers(call_.exec, workers_, [&](int worker) {
      Arena arena(call_.exec.workspace->get(
          worker, 3, scratch_ + static_cast<std::size_t>(most_parts_ > 1 ? buffer : 0)));
      BackwardPart work(call_, arena);
      float* const own = arena.take(most_parts_ > 1 ? buffer : 0);
      for_each_head([&](std::int64_t b, std::int64_t kv_head, const KeyParts& parts, const int* owners) {
        const bool whole = owners[0] == owners[parts.count - 1];
        for (std::int64_t p = 0; p < parts.count; ++p) {
          if (owners[p] != worker) continue;
          Rows d_q{d_q_of(b, kv_head), x_.q.row};
          std::int64_t head_stride = x_.q.head;
          if (p > 0) {
            d_q = {whole ? own : partial(owners[0], p), x_.key_width};
            head_stride = x_.q_count[b] * x_.key_width;
          }
          work.run(b, kv_head, parts.part(p, x_.k_count[b]), d_q, head_stride);
          if (p > 0 && whole) merge(b, kv_head, own);
        }
      });
    });
    if (!split) return;
    for_each_head([&](std::int64_t b, std::int64_t kv_head, const KeyParts& parts, const int* owners) {
      if (owners[0] == owners[parts.count - 1]) return;
      for (std::int64_t p = 1; p < parts.count; ++p) merge(b, kv_head, partial(owners[0], p));
    });
  }

 private:
  float* d_q_of(std::int64_t b, std::int64_t kv_head) const {
    return call_.d.q + AttentionHead(x_, b, kv_head * (x_.heads / x_.kv_heads)).q;
  }
  std::int64_t partial_floats() const { return x_.heads / x_.kv_heads * most_queries_ * x_.key_width; }

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
  void for_each_head(const Body& body) const {
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

  // d_q += partial sums
  void merge(std::int64_t b, std::int64_t kv_head, const float* partial) const {
    float* const d_q = d_q_of(b, kv_head);
    for (std::int64_t h = 0; h < x_.heads / x_.kv_heads; ++h)
      for (std::int64_t t = 0; t < x_.q_count[b]; ++t, partial += x_.key_width)
        add_row(partial, x_.key_width, d_q + h * x_.q.head + t * x_.q.row);
  }

  const AttentionBackward& call_;
  const AttentionExtents& x_;
  double total_ = 0.0;
  int workers_ = 1;
  std::int64_t most_queries_ = 0, most_parts_ = 1;
  std::size_t scratch_ = 0;
};
