// Forward of a block of queries side by side in lanes: scores and weights are transposed ([keys, queries]),
// so that maxima, sums and limits are vectors and no sum runs across lanes. Softmax online over blocks of
// keys (Milakov and Gimelshein 2018; Dao et al. 2022), in base 2. Included by attention.inl.

inline constexpr std::int64_t key_block = 64;  // divides LaneDropout::panel_keys
inline constexpr std::int64_t max_block = block_vectors * width;
inline constexpr float log2_e = 1.44269504089f, ln_2 = 0.69314718056f;
inline constexpr float lowest = -3e38f;  // below every score, and finite: lowest - lowest = 0
inline constexpr float no_score = -std::numeric_limits<float>::infinity();

inline Floats lane_numbers() {
  alignas(64) static constexpr float numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load(numbers);
}

// What a block of queries keeps over the blocks of keys; one float a lane.
struct LaneState {
  float *largest, *sum, *rescale;
};

// One lane vector's part of a block of n keys: scores in, exp2(score - largest) out, times `multipliers` if
// given; keys from `open` on are hidden from lane i unless below limit i. Updates the running maximum and
// sum.
template <bool Dropped>
void softmax_column(float* scores, std::int64_t stride, std::int64_t n, std::int64_t open, Floats limit,
                    const LaneState& state, const float* multipliers) {
  const Floats before = load(state.largest);
  Floats top = before;
  for (std::int64_t j = 0; j < open; ++j) top = max(top, load(scores + j * stride));
  for (std::int64_t j = open; j < n; ++j) {
    const Floats score =
        select_less(broadcast(static_cast<float>(j)), limit, load(scores + j * stride), broadcast(no_score));
    store(scores + j * stride, score);
    top = max(top, score);
  }
  const Floats rescale = exp2(sub(before, top));
  Floats total = mul(load(state.sum), rescale);
  for (std::int64_t j = 0; j < n; ++j) {
    Floats p = exp2(sub(load(scores + j * stride), top));
    total = add(total, p);
    if constexpr (Dropped) p = mul(p, load(multipliers + j * stride));
    store(scores + j * stride, p);
  }
  store(state.largest, top);
  store(state.sum, total);
  store(state.rescale, rescale);
}

class ForwardBlock {
 public:
  static std::int64_t scratch(const AttentionExtents& x, std::int64_t most_keys) {
    return Arena::size(x.key_width * max_block) + 2 * Arena::size(key_block * max_block) +
           Arena::size(max_block * round_up(x.value_width)) + 4 * Arena::size(max_block) +
           (x.dropout.active() ? LaneDropout::scratch(max_block, most_keys) : 0);
  }

  ForwardBlock(const AttentionForward& call, const AttentionHead& head, std::int64_t t0, std::int64_t t1,
               Panel k, Panel v, float* scratch)
      : call_(call),
        x_(call.x),
        head_(head),
        k_(k),
        v_(v),
        t0_(t0),
        nq_(t1 - t0),
        stride_(round_up(nq_)),
        arena_(scratch),
        lanes_(arena_.take(x_.key_width * stride_)),
        scores_(arena_.take(key_block * stride_)),
        kept_(arena_.take(key_block * stride_)),
        mixed_(arena_.take(nq_ * round_up(x_.value_width))),
        inverse_(arena_.take(stride_)),
        state_{arena_.take(stride_), arena_.take(stride_), arena_.take(stride_)} {
    for (std::int64_t i = 0; i < stride_; i += width) {
      store(state_.largest + i, broadcast(lowest));
      store(state_.sum + i, zero());
    }
  }

  void run(float* weights) {
    const std::int64_t seen = head_.visible(t0_ + nq_ - 1);
    if (seen == 0) return nothing_visible(weights);
    rows_to_lanes(call_.q + head_.q + t0_ * x_.q.row, x_.q.row, nq_, x_.key_width, x_.scale * log2_e, lanes_,
                  stride_);
    LaneDropout dropout(call_.exec, x_.dropout, head_, t0_, nq_, arena_.take(0));
    float* const out = call_.out + head_.out + t0_ * x_.out.row;
    const bool direct = x_.value_width % width == 0 && seen <= key_block;
    for (std::int64_t j0 = 0; j0 < seen; j0 += key_block) {
      const std::int64_t n = std::min(key_block, seen - j0);
      lane_scores(head_, t0_, nq_, j0, n, k_, x_.key_width, lanes_, scores_, stride_);
      if (x_.dropout.active()) dropout.draw(j0, n, kept_, stride_);
      softmax(j0, n);
      const bool last = j0 + n == seen;
      if (last) finish();
      multiply({.a = scores_,
                .a_row = 1,
                .a_step = stride_,
                .b = v_.data + j0 * v_.row,
                .b_row = v_.row,
                .c = direct ? out : mixed_,
                .c_row = direct ? x_.out.row : round_up(x_.value_width),
                .n = n,
                .seen = head_.reach(t0_) - j0,
                .before = j0 == 0 ? nullptr : state_.rescale,
                .after = last ? inverse_ : nullptr},
               nq_, round_up(x_.value_width));
    }
    if (!direct)
      for (std::int64_t t = 0; t < nq_; ++t)
        copy_row(mixed_ + t * round_up(x_.value_width), x_.value_width, out + t * x_.out.row);
    if (weights) write_weights(seen, weights);
  }

 private:
  void softmax(std::int64_t j0, std::int64_t n) {
    for (std::int64_t v = 0; v * width < stride_; ++v) {
      const std::int64_t keys = column_keys(head_, t0_, nq_, v, j0, n), lane = v * width;
      const std::int64_t first = head_.reach(t0_ + lane) - j0;  // keys that lane 0 sees
      const LaneState state{state_.largest + lane, state_.sum + lane, state_.rescale + lane};
      const Floats limit = add(broadcast(static_cast<float>(first)), lane_numbers());
      const auto column = x_.dropout.active() ? &softmax_column<true> : &softmax_column<false>;
      column(scores_ + lane, stride_, keys, std::clamp<std::int64_t>(first, 0, keys), limit, state,
             kept_ + lane);
    }
  }

  // 1/sum (0 where nothing was seen) and log sum exp. A NaN stays one.
  void finish() {
    for (std::int64_t i = 0; i < nq_; i += width) {
      const Floats sum = load(state_.sum + i), least = broadcast(1e-30f);
      store(inverse_ + i, select_less(sum, least, zero(), div(broadcast(1.0f), sum)));
      if (!call_.log_sum_exp) continue;
      const Floats lse = fma(load(state_.largest + i), broadcast(ln_2), fma(sum, zero(), log(sum)));
      store_first(call_.log_sum_exp + head_.h * call_.lse_stride + head_.query_row + t0_ + i,
                  select_less(sum, least, broadcast(no_score), lse),
                  static_cast<int>(std::min<std::int64_t>(width, nq_ - i)));
    }
  }

  // The weights before dropout: scores once more, now that maximum and sum are known.
  void write_weights(std::int64_t seen, float* weights) {
    for (std::int64_t j0 = 0; j0 < seen; j0 += key_block) {
      const std::int64_t n = std::min(key_block, seen - j0);
      lane_scores(head_, t0_, nq_, j0, n, k_, x_.key_width, lanes_, scores_, stride_);
      for (std::int64_t lane = 0; lane < nq_; lane += width)
        for (std::int64_t j = 0; j < column_keys(head_, t0_, nq_, lane / width, j0, n); ++j) {
          float* const p = scores_ + j * stride_ + lane;
          store(p, mul(exp2(sub(load(p), load(state_.largest + lane))), load(inverse_ + lane)));
        }
      for (std::int64_t t = 0; t < nq_; ++t)
        for (std::int64_t j = 0; j < n; ++j)
          weights[t * head_.keys + j0 + j] = j0 + j < head_.reach(t0_ + t) ? scores_[j * stride_ + t] : 0.0f;
    }
    for (std::int64_t t = 0; t < nq_; ++t)
      std::fill(weights + t * head_.keys + seen, weights + (t + 1) * head_.keys, 0.0f);
  }

  void nothing_visible(float* weights) {
    for (std::int64_t t = 0; t < nq_; ++t) {
      std::fill_n(call_.out + head_.out + (t0_ + t) * x_.out.row, x_.value_width, 0.0f);
      if (call_.log_sum_exp)
        call_.log_sum_exp[head_.h * call_.lse_stride + head_.query_row + t0_ + t] = no_score;
    }
    if (weights) std::fill_n(weights, nq_ * head_.keys, 0.0f);
  }

  const AttentionForward& call_;
  const AttentionExtents& x_;
  const AttentionHead& head_;
  Panel k_, v_;
  std::int64_t t0_, nq_, stride_;
  Arena arena_;
  float *lanes_, *scores_, *kept_, *mixed_, *inverse_;
  LaneState state_;
};
