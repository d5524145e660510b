// A span of keys of one sequence and cached head: block after block, with a running maximum. Scores are in
// units of log 2, so that weights are powers of 2. Included by decode_attention.inl.

inline constexpr float log2_e = 1.44269504f, ln_2 = 0.693147181f;
inline constexpr float no_key = -std::numeric_limits<float>::infinity();

// What query rows know of the keys so far: largest score, sum of 2^(score - largest), and the values mixed
// by those. Rows are (query t, head g of the group): t * group + g.
struct RowStates {
  float* data;
  std::int64_t rows, columns;

  static std::int64_t floats(const CacheLayout& layout, std::int64_t rows) {
    return rows * (2 + layout.value_columns());
  }
  float& largest(std::int64_t row) const { return data[row]; }
  float& sum(std::int64_t row) const { return data[rows + row]; }
  float* mixed(std::int64_t row) const { return data + 2 * rows + row * columns; }
  void clear() const {
    std::fill_n(data, rows, no_key);
    std::fill_n(data + rows, rows * (1 + columns), 0.0f);
  }
};

// The largest score so far, or 0 if there is none: what exponents are taken relative to.
inline float reference_score(float largest) { return largest == no_key ? 0.0f : largest; }

inline void scale_values(float* values, std::int64_t columns, float factor) {
  if (factor == 1.0f) return;
  const Floats x = broadcast(factor);
  for (std::int64_t e = 0; e < columns; e += width) store(values + e, mul(load(values + e), x));
}

// States of the same rows over earlier and later keys become one.
inline void merge_states(const RowStates& earlier, const RowStates& later) {
  for (std::int64_t row = 0; row < earlier.rows; ++row) {
    const float largest = std::max(earlier.largest(row), later.largest(row)), top = reference_score(largest);
    const float a = std::exp2(earlier.largest(row) - top), b = std::exp2(later.largest(row) - top);
    float *to = earlier.mixed(row), *from = later.mixed(row);
    for (std::int64_t e = 0; e < earlier.columns; e += width)
      store(to + e, fma(load(from + e), broadcast(b), mul(load(to + e), broadcast(a))));
    earlier.sum(row) = earlier.sum(row) * a + later.sum(row) * b;
    earlier.largest(row) = largest;
  }
}

// Out and log-sum-exp from the states of all rows of a head, sinks included.
inline void finish_rows(const DecodeCall& call, std::int64_t b, std::int64_t kv_head,
                        const RowStates& states) {
  const DecodeExtents& x = call.x;
  const std::int64_t group = x.heads / call.cache.layout.kv_heads;
  for (std::int64_t row = 0; row < states.rows; ++row) {
    const std::int64_t h = kv_head * group + row % group, query_row = x.q_start[b] + row / group;
    const float sink = x.sinks ? x.sinks[h] * log2_e : no_key;
    const float largest = std::max(states.largest(row), sink), top = reference_score(largest);
    const float factor = std::exp2(states.largest(row) - top);
    const float total = states.sum(row) * factor + std::exp2(sink - top);
    scale_values(states.mixed(row), states.columns, total == 0.0f ? 0.0f : factor / total);
    std::copy_n(states.mixed(row), call.cache.layout.value_width,
                call.out + query_row * x.out.row + h * x.out.head);
    if (call.log_sum_exp)
      call.log_sum_exp[h * call.lse_stride + query_row] = largest * ln_2 + std::log(total);
  }
}

// A worker with its scratch memory.
class SpanWorker {
 public:
  SpanWorker(const DecodeCall& call, const DecodeTiles& tiles, std::int64_t most_rows, int worker)
      : call_(call), layout_(call.cache.layout), tiles_(tiles), group_(call.x.heads / layout_.kv_heads) {
    const std::int64_t q_floats = most_rows * prepared_bytes(layout_) / 4;
    const std::int64_t edge_floats = layout_.value_tile_bytes() / 4;
    const std::int64_t rows16 = (most_rows + 15) / 16 * 16, scores = tiles.rows * block_slots;
    float* at = call.exec.workspace->get(
        worker, 5,
        static_cast<std::size_t>(q_floats + 2 * edge_floats + rows16 + scores + tile_scratch(layout_) +
                                 RowStates::floats(layout_, most_rows)));
    const auto take = [&at](std::int64_t floats) { return std::exchange(at, at + floats); };
    q_ = reinterpret_cast<std::byte*>(take(q_floats));
    for (auto& edge : edges_) edge = reinterpret_cast<std::byte*>(take(edge_floats));
    factors_ = take(rows16);
    scores_ = take(scores);
    scratch_ = take(tile_scratch(layout_));
    own_states_ = at;
  }

  float* own_states() const { return own_states_; }

  /// Attends to blocks [first, end) of keys.
  void run(std::int64_t b, std::int64_t kv_head, std::int64_t first, std::int64_t end,
           const RowStates& states) {
    b_ = b;
    kv_head_ = kv_head;
    states_ = states;
    states.clear();
    prepare_queries();
    for (std::int64_t block = first; block < end; ++block) run_block(block);
  }

 private:
  void prepare_queries() {
    const DecodeExtents& x = call_.x;
    for (std::int64_t row = 0; row < states_.rows; ++row) {
      const std::int64_t h = kv_head_ * group_ + row % group_, query_row = x.q_start[b_] + row / group_;
      tiles_.prepare(layout_, call_.q + query_row * x.q.row + h * x.q.head,
                     q_ + row * prepared_bytes(layout_), factors_ + row);
      factors_[row] *= x.scale * log2_e;
    }
  }

  KeyRange seen(std::int64_t t) const { return visible_keys(call_.x, call_.cache, b_, t); }

  void run_block(std::int64_t block) {
    const std::int64_t T = states_.rows / group_;
    const KeyRange oldest = seen(0), newest = seen(T - 1);
    const std::int64_t begin = std::max(oldest.begin, block * block_slots);
    const std::int64_t end = std::min(newest.end, (block + 1) * block_slots);
    if (begin >= end) return;
    origin_ = begin / 16 * 16;
    const std::int64_t slots = (end - origin_ + 15) / 16 * 16;
    find_tiles(slots / 16);
    if (newest.begin <= origin_ && oldest.end >= origin_ + slots) return attend(0, states_.rows, {0, slots});
    for (std::int64_t t = 0; t < T; ++t) {
      const KeyRange range = seen(t);
      attend(t * group_, group_,
             {std::max(range.begin, begin) - origin_, std::min(range.end, end) - origin_});
    }
  }

  // reads_: the block's tiles of keys, then of values, then what the next block begins with.
  void find_tiles(std::int64_t count) {
    const CacheView& cache = call_.cache;
    const std::byte* const* const pages = cache.pages + cache.page_start[b_];
    const std::int64_t held = (cache.length[b_] - cache.first[b_] + 15) / 16;
    const std::int64_t first = (origin_ - cache.first[b_]) / 16, tiles = layout_.tiles();
    const std::int64_t first_keys = layout_.key_tile(kv_head_, 0), key_bytes = layout_.key_tile_bytes();
    const std::int64_t first_values = layout_.value_tile(kv_head_, 0),
                       value_bytes = layout_.value_tile_bytes();
    std::int64_t page = first / tiles, tile = first % tiles;
    for (std::int64_t i = 0; i < count + fetch_ahead; ++i) {
      const std::byte* const keys = pages[page] + first_keys + tile * key_bytes;
      if (i < count) {
        reads_[i] = keys;
        reads_[count + i] = pages[page] + first_values + tile * value_bytes;
      } else {
        reads_[count + i] = keys;
      }
      if (first + i + 1 >= held) continue;  // the last one stands for those after it
      if (++tile == tiles) ++page, tile = 0;
    }
    tiles_here_ = count;
  }

  // Rows that see slots `range` of the block, all of them the same.
  void attend(std::int64_t first_row, std::int64_t rows, KeyRange range) {
    if (range.begin >= range.end) return;
    const std::int64_t first = range.begin / 16, count = (range.end + 15) / 16 - first;
    const KeyRange lanes{range.begin - first * 16, range.end - first * 16};
    std::array<const std::byte*, block_tiles + fetch_ahead> values;
    std::copy_n(reads_.data() + tiles_here_ + first, count + fetch_ahead, values.data());
    hide_edges(lanes, count, values.data());
    for (std::int64_t row = first_row; row < first_row + rows; row += tiles_.rows) {
      const int n = static_cast<int>(std::min<std::int64_t>(tiles_.rows, first_row + rows - row));
      tiles_.scores(layout_, reads_.data() + first, count, q_ + row * prepared_bytes(layout_), n, scores_,
                    scratch_);
      for (int r = 0; r < n; ++r)
        weigh(row + r, scores_ + r * block_slots, lanes, count * 16, origin_ + first * 16);
      tiles_.mix(layout_, values.data(), count, scores_, n, states_.mixed(row), scratch_);
    }
  }

  // Tiles of which some slots are not seen are replaced by copies that have zeros there.
  void hide_edges(KeyRange lanes, std::int64_t count, const std::byte** values) {
    const std::int64_t last = (count - 1) * 16;
    if (lanes.begin > 0) {
      copy_value_tile(layout_, values[0], lanes.begin, std::min<std::int64_t>(lanes.end, 16), edges_[0]);
      values[0] = edges_[0];
    }
    if (lanes.end < last + 16 && (last > 0 || lanes.begin == 0)) {
      copy_value_tile(layout_, values[count - 1], 0, lanes.end - last, edges_[1]);
      values[count - 1] = edges_[1];
    }
  }

  // Dot products of a row become weights relative to its largest score, which the state then knows.
  void weigh(std::int64_t row, float* scores, KeyRange lanes, std::int64_t slots, std::int64_t origin) {
    float factor = factors_[row];
    if (call_.x.soft_cap > 0.0f || call_.x.distance_bias || !(factor > 0.0f)) {
      adjust(row, scores, slots, origin);
      factor = 1.0f;
    }
    std::fill(scores, scores + lanes.begin, no_key);
    std::fill(scores + lanes.end, scores + slots, no_key);
    Floats tops = broadcast(no_key), sums = zero();
    for (std::int64_t j = 0; j < slots; j += width) tops = max(tops, load(scores + j));
    const float before = states_.largest(row), largest = std::max(before, max_of(tops) * factor);
    const Floats minus_top = broadcast(-reference_score(largest)), scale = broadcast(factor);
    for (std::int64_t j = 0; j < slots; j += width) {
      const Floats weight = exp2(fma(load(scores + j), scale, minus_top));
      sums = add(sums, weight);
      store(scores + j, weight);
    }
    const float kept = largest == before ? 1.0f : std::exp2(before - reference_score(largest));
    scale_values(states_.mixed(row), states_.columns, kept);
    states_.sum(row) = states_.sum(row) * kept + sum(sums);
    states_.largest(row) = largest;
  }

  // Everything that happens to scores beyond a positive factor.
  void adjust(std::int64_t row, float* scores, std::int64_t slots, std::int64_t origin) const {
    const Floats factor = broadcast(factors_[row]);
    for (std::int64_t j = 0; j < slots; j += width) store(scores + j, mul(load(scores + j), factor));
    if (call_.x.soft_cap > 0.0f) cap(scores, slots);
    if (call_.x.distance_bias) add_bias(row, scores, slots, origin);
  }

  void cap(float* scores, std::int64_t slots) const {
    const Floats bound = broadcast(call_.x.soft_cap * log2_e);
    for (std::int64_t j = 0; j < slots; j += width)
      store(scores + j, mul(bound, tanh(div(load(scores + j), bound))));
  }

  void add_bias(std::int64_t row, float* scores, std::int64_t slots, std::int64_t origin) const {
    const DecodeExtents& x = call_.x;
    const float* const bias = x.distance_bias + (kv_head_ * group_ + row % group_) * x.distances;
    const std::int64_t position = call_.cache.length[b_] - states_.rows / group_ + row / group_;
    for (std::int64_t j = 0; j < slots; ++j)
      scores[j] += log2_e * bias[std::clamp<std::int64_t>(position - origin - j, 0, x.distances - 1)];
  }

  const DecodeCall& call_;
  const CacheLayout& layout_;
  const DecodeTiles& tiles_;
  std::int64_t group_;
  std::byte *q_, *edges_[2];
  float *factors_, *scores_, *scratch_, *own_states_;
  std::array<const std::byte*, 2 * block_tiles + fetch_ahead> reads_;
  std::int64_t tiles_here_ = 0;                    // of the block
  std::int64_t b_ = 0, kv_head_ = 0, origin_ = 0;  // origin_: position of the first slot of those tiles
  RowStates states_{};
};
