// A tile of scores, transposed ([keys, queries], queries in lanes, base 2): the products that make it, and
// everything that may change it before softmax, in one place for forward, backward and weights. Included by
// attention.inl.

inline Floats lane_numbers() {
  alignas(64) static constexpr float numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load(numbers);
}

// Keys of a tile that some query of the lane vector from `lane` on sees.
inline Interval lane_keys(const KeyTile& tile, std::int64_t lane, std::int64_t nq) {
  return tile.edges.columns(lane, std::min(lane + width, nq), tile.n);
}

// to[j,lane] = sum_d rows[j,d] lanes[d,lane] for the keys of a tile, without those that no query of a lane
// vector sees: each run of keys takes the lane vectors from `first` to `last` that see it.
inline void lane_scores(const KeyTile& tile, std::int64_t nq, Panel rows, std::int64_t count,
                        const float* lanes, float* to, std::int64_t stride) {
  std::int64_t first = 0, last = 0;
  for (std::int64_t j = 0; j < tile.n;) {
    while (last * width < nq && lane_keys(tile, last * width, nq).begin <= j) ++last;
    while (first < last && lane_keys(tile, first * width, nq).end <= j) ++first;
    std::int64_t end = tile.n;
    if (last * width < nq) end = std::min(end, lane_keys(tile, last * width, nq).begin);
    if (first < last) end = std::min(end, lane_keys(tile, first * width, nq).end);
    if (first < last)
      score_product(rows.data + j * rows.row, rows.row, end - j, count, lanes + first * width, last - first,
                    to + j * stride + first * width, stride);
    j = end;
  }
}

// Scores of pairs that the edges hide, where some lane of their vector sees the key, become no_score.
inline void hide_edges(const KeyTile& tile, std::int64_t nq, float* scores, std::int64_t stride) {
  const Floats numbers = lane_numbers();
  for (std::int64_t lane = 0; lane < nq; lane += width) {
    const Interval keys = lane_keys(tile, lane, nq);
    // choose(what the lane numbers are compared with at a key, its scores)
    const auto hide = [&](std::int64_t begin, std::int64_t end, std::int64_t bound, const auto& choose) {
      Floats at = broadcast(static_cast<float>(begin - bound));
      for (std::int64_t j = begin; j < end; ++j, at = add(at, broadcast(1.0f)))
        store(scores + j * stride + lane, choose(at, load(scores + j * stride + lane)));
    };
    hide(keys.begin, std::min(keys.end, tile.edges.first + lane + width - 1), tile.edges.first + lane - 1,
         [&](Floats at, Floats score) { return select_less(numbers, at, score, broadcast(no_score)); });
    hide(std::max(keys.begin, tile.edges.seen + lane), keys.end, tile.edges.seen + lane,
         [&](Floats at, Floats score) { return select_less(at, numbers, score, broadcast(no_score)); });
  }
}

// Soft cap, biases and masks of a block of queries.
class ScoreEditor {
 public:
  ScoreEditor(const AttentionExtents& x, const AttentionInputs& in, Arena& arena)
      : x_(x), in_(in), active_(edits_scores(x, in)), hides_(hides_pairs(x, in)) {
    if (in.bias || x.mask.data) lanes_ = arena.take(key_block * max_block);
    if (x.mask.data) mask_rows_ = arena.take(key_block * max_block);
  }

  bool active() const { return active_; }
  bool hides() const { return hides_; }

  void enter(const AttentionHead& head, std::int64_t t0, std::int64_t nq) {
    head_ = &head;
    t0_ = t0;
    nq_ = nq;
  }

  // Whether masks hide every pair of a tile.
  bool hidden(const KeyTile& tile) const {
    if (x_.blocks.data && blocks_hidden(tile)) return true;
    if (!x_.mask.data) return false;
    const PairStrides& s = x_.mask.strides;
    const std::uint8_t* row = x_.mask.data + offset(s, tile.j0);
    for (std::int64_t t = 0; t < (s.query ? nq_ : 1); ++t, row += s.query)
      for (std::int64_t j = 0; j < (s.key ? tile.n : 1); ++j)
        if (row[j * s.key]) return false;
    return true;
  }

  // scale * q.k in, scores out. `slopes`, if given, becomes the derivative of the soft cap.
  void edit(const KeyTile& tile, float* scores, std::int64_t stride, float* slopes) const {
    if (x_.soft_cap > 0.0f) cap(tile, scores, stride, slopes);
    if (in_.bias) add_bias(tile, scores, stride);
    if (in_.relative) add_relative(tile, scores, stride);
    if (x_.mask.data) hide_masked(tile, scores, stride);
    if (x_.blocks.data) hide_blocks(tile, scores, stride);
  }

 private:
  std::int64_t offset(const PairStrides& s, std::int64_t j0) const {
    return head_->b * s.sequence + head_->h * s.head + t0_ * s.query + j0 * s.key;
  }

  template <class Body>
  void for_each_vector(const KeyTile& tile, const Body& body) const {
    for (std::int64_t lane = 0; lane < nq_; lane += width) {
      const Interval keys = lane_keys(tile, lane, nq_);
      for (std::int64_t j = keys.begin; j < keys.end; ++j) body(j, lane);
    }
  }

  void cap(const KeyTile& tile, float* scores, std::int64_t stride, float* slopes) const {
    const Floats to_cap = broadcast(ln_2 / x_.soft_cap), from_cap = broadcast(x_.soft_cap * log2_e);
    for_each_vector(tile, [&](std::int64_t j, std::int64_t lane) {
      float* const at = scores + j * stride + lane;
      const Floats u = tanh(mul(load(at), to_cap));
      store(at, mul(u, from_cap));
      if (slopes) store(slopes + j * stride + lane, fnma(u, u, broadcast(1.0f)));
    });
  }

  // The tile of a matrix [queries, keys], times a factor, as lanes.
  void pairs_to_lanes(const float* from, const PairStrides& s, std::int64_t n, float factor,
                      std::int64_t stride) const {
    if (s.key == 1) return rows_to_lanes(from, s.query, nq_, n, factor, lanes_, stride);
    for (std::int64_t j = 0; j < n; ++j)
      for (std::int64_t t = 0; t < stride; ++t)
        lanes_[j * stride + t] = factor * from[std::min(t, nq_ - 1) * s.query + j * s.key];
  }

  void add_bias(const KeyTile& tile, float* scores, std::int64_t stride) const {
    pairs_to_lanes(in_.bias + offset(x_.bias, tile.j0), x_.bias, tile.n, log2_e, stride);
    for_each_vector(tile, [&](std::int64_t j, std::int64_t lane) {
      float* const at = scores + j * stride + lane;
      const Floats bias = load(lanes_ + j * stride + lane);
      store(at, select_less(bias, broadcast(lowest), bias, add(load(at), bias)));  // -infinity hides a NaN
    });
  }

  // Neighbours in lanes are neighbours in the table. Lanes outside of it belong to pairs that the edges hide.
  void add_relative(const KeyTile& tile, float* scores, std::int64_t stride) const {
    const RelativeLayout& r = x_.relative;
    const float* const table = in_.relative + head_->h * r.head;
    const std::int64_t nearest = r.zero + t0_ + head_->shift - tile.j0;  // of lane 0 and key 0
    for_each_vector(tile, [&](std::int64_t j, std::int64_t lane) {
      float* const at = scores + j * stride + lane;
      const std::int64_t first = nearest + lane - j;
      alignas(64) float some[width];
      const float* bias = table + first;
      if (first < 0 || first + width > r.count) {
        for (int i = 0; i < width; ++i) some[i] = table[std::clamp<std::int64_t>(first + i, 0, r.count - 1)];
        bias = some;
      }
      store(at, fma(load(bias), broadcast(log2_e), load(at)));
    });
  }

  void hide_masked(const KeyTile& tile, float* scores, std::int64_t stride) const {
    const PairStrides& s = x_.mask.strides;
    const std::uint8_t* row = x_.mask.data + offset(s, tile.j0);
    for (std::int64_t t = 0; t < nq_; ++t, row += s.query) {
      float* const to = mask_rows_ + t * key_block;
      if (s.key == 1)
        for (std::int64_t j = 0; j < tile.n; ++j) to[j] = static_cast<float>(row[j]);
      else
        for (std::int64_t j = 0; j < tile.n; ++j) to[j] = static_cast<float>(row[j * s.key]);
    }
    rows_to_lanes(mask_rows_, key_block, nq_, tile.n, 1.0f, lanes_, stride);
    for_each_vector(tile, [&](std::int64_t j, std::int64_t lane) {
      float* const at = scores + j * stride + lane;
      store(at, select_less(zero(), load(lanes_ + j * stride + lane), load(at), broadcast(no_score)));
    });
  }

  // body(queries, keys) for the rectangles of the tile that blocks hide; stops when it returns false.
  template <class Body>
  void for_each_rectangle(const KeyTile& tile, const Body& body) const {
    const BlockMask& m = x_.blocks;
    const PairStrides& s = m.strides;
    const std::uint8_t* const data = m.data + head_->b * s.sequence + head_->h * s.head;
    for (std::int64_t t = t0_; t < t0_ + nq_; t = (t / m.query_block + 1) * m.query_block)
      for (std::int64_t j = tile.j0; j < tile.j0 + tile.n; j = (j / m.key_block + 1) * m.key_block) {
        const bool visible = data[t / m.query_block * s.query + j / m.key_block * s.key] != 0;
        const Interval queries{t - t0_, std::min((t / m.query_block + 1) * m.query_block - t0_, nq_)};
        const Interval keys{j - tile.j0, std::min((j / m.key_block + 1) * m.key_block - tile.j0, tile.n)};
        if (!body(queries, keys, visible)) return;
      }
  }
  bool blocks_hidden(const KeyTile& tile) const {
    bool hidden = true;
    for_each_rectangle(tile, [&](Interval, Interval, bool visible) { return hidden = !visible; });
    return hidden;
  }
  void hide_blocks(const KeyTile& tile, float* scores, std::int64_t stride) const {
    for_each_rectangle(tile, [&](Interval queries, Interval keys, bool visible) {
      for (std::int64_t j = keys.begin; !visible && j < keys.end; ++j)
        std::fill(scores + j * stride + queries.begin, scores + j * stride + queries.end, no_score);
      return true;
    });
  }

  const AttentionExtents& x_;
  const AttentionInputs& in_;
  bool active_, hides_;
  float *lanes_ = nullptr, *mask_rows_ = nullptr;
  const AttentionHead* head_ = nullptr;
  std::int64_t t0_ = 0, nq_ = 0;
};

// Dropout's multipliers of a block's queries, lanes = queries, drawn a panel of keys at a time.
class LaneDropout {
 public:
  static constexpr std::int64_t panel_keys = 512;
  LaneDropout(const Execution& exec, const AttentionExtents& x, Arena& arena) : exec_(exec), x_(x) {
    if (!x.dropout.active()) return;
    kept_ = arena.take(key_block * max_block);
    drawn_ = arena.take(max_block * std::min(most_keys(x), panel_keys));
  }

  void enter(const AttentionHead& head, std::int64_t t0, std::int64_t nq) {
    head_ = &head;
    t0_ = t0;
    nq_ = nq;
    panel_ = {0, 0};
  }

  // The multipliers of a tile, [keys, queries] as its scores; tiles come in order.
  const float* draw(const KeyTile& tile, std::int64_t stride) {
    if (!x_.dropout.active()) return nullptr;
    if (tile.j0 < panel_.begin || tile.j0 + tile.n > panel_.end) draw_panel(tile.j0);
    rows_to_lanes(drawn_ + tile.j0 - panel_.begin, panel_.count(), nq_, tile.n, 1.0f, kept_, stride);
    return kept_;
  }

 private:
  void draw_panel(std::int64_t j0) {
    panel_ = {j0, std::min(head_->keys, j0 + panel_keys)};
    const std::uint64_t first = head_->first_element + static_cast<std::uint64_t>(t0_ * head_->keys + j0);
    if (panel_.count() == head_->keys)
      return dropout_multipliers(exec_.kernels, x_.dropout, first, nq_ * head_->keys, drawn_);
    for (std::int64_t t = 0; t < nq_; ++t)
      dropout_multipliers(exec_.kernels, x_.dropout, first + static_cast<std::uint64_t>(t * head_->keys),
                          panel_.count(), drawn_ + t * panel_.count());
  }

  const Execution& exec_;
  const AttentionExtents& x_;
  float *kept_ = nullptr, *drawn_ = nullptr;
  const AttentionHead* head_ = nullptr;
  std::int64_t t0_ = 0, nq_ = 0;
  Interval panel_{0, 0};
};
