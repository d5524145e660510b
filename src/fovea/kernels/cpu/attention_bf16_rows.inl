// Rows of bf16 in the layouts that products of units read. Included by attention_bf16.inl.

inline std::int64_t units_of(std::int64_t elements) { return (elements + pair - 1) / pair; }

// One row of queries or keys in units, turned by the angles of its position where the call asks for it.
// Returns whether it is finite.
inline bool turned_row(const AttentionExtents& x, const bfloat16* from, std::int64_t position, float* scratch,
                       float* to) {
  const bool finite = row_to_units(from, x.key_width, to);
  if (!x.rotary.active()) return finite;
  widen_row(from, x.key_width, scratch);
  rotate_row(x.rotary, position, false, scratch);
  row_to_units(scratch, x.key_width, to);
  return finite;
}

// Rows of a head may lie far apart, where the processor fetches nothing ahead by itself.
inline void fetch_row(const bfloat16* row, std::int64_t count) {
  for (std::int64_t e = 0; e < count; e += 32) __builtin_prefetch(row + e);
}

// A block of at most max_block rows in units: as rows, as lanes (row i is lane i, zeros beyond the last) and
// as steps (`pair` rows a step).
class UnitBlock {
 public:
  UnitBlock(std::int64_t elements, bool stepped, Arena& arena)
      : units_(units_of(elements)),
        row_(round_up(units_)),
        columns_(round_up(elements)),
        rows_(arena.take(max_block * row_)),
        lanes_(arena.take(max_block * row_)),
        steps_(stepped && pair > 1 ? arena.take(max_block / pair * columns_) : nullptr) {}

  float* row(std::int64_t i) { return rows_ + i * row_; }

  // After the rows 0 .. count-1 are there.
  void arrange(std::int64_t count) {
    const std::int64_t stride = round_up(count);
    std::fill(row(count), row(stride), 0.0f);
    for (std::int64_t i = 0; i < stride; i += width)
      for (std::int64_t d = 0; d < row_; d += width)
        transpose_square(row(i) + d, row_, lanes_ + d * stride + i, stride);
    if (!steps_) return;
    for (std::int64_t i = 0; i < count; i += pair)
      rows_to_step(row(i), row_, columns_, steps_ + i / pair * columns_);
  }

  std::int64_t units() const { return units_; }
  const float* lanes() const { return lanes_; }
  Panel steps() const { return pair > 1 ? Panel{steps_, columns_} : Panel{rows_, row_}; }

 private:
  std::int64_t units_, row_, columns_;
  float *rows_, *lanes_, *steps_;
};

// Queries t0 .. t1-1 of a head as the rows of a block. Returns whether they are finite.
inline bool query_units(const AttentionExtents& x, const AttentionHead& head, const bfloat16* q,
                        std::int64_t t0, std::int64_t t1, float* scratch, UnitBlock& to) {
  bool finite = true;
  for (std::int64_t t = t0; t < t1; ++t)
    finite &= turned_row(x, q + head.q + t * x.q.row,
                         x.rotary.active() ? head.query_position(x.rotary, t) : 0, scratch, to.row(t - t0));
  return finite;
}

// A chunk of a head's keys and values in units: keys as rows; for backward values as rows and keys as steps,
// for forward values as steps. Tiles begin at even places of a chunk: if its keys are cut by an odd prefix, a
// row of zeros comes in between.
class KeyUnits {
 public:
  enum class For { forward, backward };

  KeyUnits(const AttentionExtents& x, const AttentionInputsBf16& in, For use, Arena& arena)
      : x_(x),
        in_(in),
        backward_(use == For::backward),
        key_row_(round_up(units_of(x.key_width))),
        value_row_(round_up(units_of(x.value_width))),
        step_columns_(round_up(backward_ ? x.key_width : x.value_width)),
        turned_(arena.take(round_up(x.key_width))),
        k_rows_(arena.take(capacity(x) * key_row_)),
        v_rows_(arena.take((backward_ || pair == 1 ? capacity(x) : pair) * value_row_)),
        steps_(pair > 1 ? arena.take(capacity(x) / pair * step_columns_) : nullptr) {}

  // Keys begin .. end-1; begin is even.
  void move_to(const AttentionHead& head, std::int64_t begin, std::int64_t end) {
    if (head.b == sequence_ && head.kv_head == kv_head_ && begin == begin_ && end == end_) return;
    sequence_ = head.b;
    kv_head_ = head.kv_head;
    begin_ = begin;
    end_ = end;
    split_ = head.prefix > begin && head.prefix < end && head.prefix % pair ? head.prefix : end;
    k_finite_ = v_finite_ = true;
    const bfloat16 *const k = in_.k + head.k, *const v = in_.v + head.v;
    for (std::int64_t j = begin; j < end; ++j) {
      const std::int64_t row = head.key_row(j), ahead = head.key_row(std::min(j + rows_ahead, end - 1));
      fetch_row(k + ahead * x_.k.row, x_.key_width);
      fetch_row(v + ahead * x_.v.row, x_.value_width);
      if (pair > 1 && j == split_) put_zeros(split_ - begin);
      const std::int64_t at = slot(j);
      k_finite_ &=
          turned_row(x_, k + row * x_.k.row, x_.rotary.active() ? head.key_position(x_.rotary, j) : 0,
                     turned_, k_rows_ + at * key_row_);
      v_finite_ &= row_to_units(v + row * x_.v.row, x_.value_width, value_row(at));
      if (pair > 1 && at % pair == pair - 1) make_step(at);
    }
    if (pair > 1 && end > begin && slot(end - 1) % pair == 0) put_zeros(slot(end - 1) + 1);
  }

  std::int64_t begin() const { return begin_; }
  std::int64_t end() const { return end_; }
  bool k_finite() const { return k_finite_; }
  bool v_finite() const { return v_finite_; }
  // From key j on; for steps the first of a tile.
  Panel k(std::int64_t j) const { return {k_rows_ + slot(j) * key_row_, key_row_}; }
  Panel v(std::int64_t j) const { return {v_rows_ + slot(j) * value_row_, value_row_}; }
  Panel v_steps(std::int64_t j) const { return pair > 1 ? steps(j) : v(j); }
  Panel k_steps(std::int64_t j) const { return pair > 1 ? steps(j) : k(j); }

  static std::int64_t most_rows(const AttentionExtents& x) { return std::min(chunk_keys(x), most_keys(x)); }

 private:
  static constexpr std::int64_t rows_ahead = 12;
  static std::int64_t capacity(const AttentionExtents& x) { return most_rows(x) + 2 * pair; }
  std::int64_t slot(std::int64_t j) const { return j - begin_ + (j >= split_ ? 1 : 0); }
  Panel steps(std::int64_t j) const { return {steps_ + slot(j) / pair * step_columns_, step_columns_}; }
  // Where steps are made of values their rows need not stay.
  float* value_row(std::int64_t at) const {
    return v_rows_ + (backward_ || pair == 1 ? at : at % pair) * value_row_;
  }

  // The last row of a step is there.
  void make_step(std::int64_t at) {
    float* const to = steps_ + at / pair * step_columns_;
    if (backward_)
      rows_to_step(k_rows_ + (at + 1 - pair) * key_row_, key_row_, step_columns_, to);
    else
      rows_to_step(v_rows_, value_row_, step_columns_, to);
  }
  void put_zeros(std::int64_t at) {
    std::fill_n(k_rows_ + at * key_row_, key_row_, 0.0f);
    std::fill_n(value_row(at), value_row_, 0.0f);
    make_step(at);
  }

  const AttentionExtents& x_;
  const AttentionInputsBf16& in_;
  bool backward_;
  std::int64_t key_row_, value_row_, step_columns_;
  float *turned_, *k_rows_, *v_rows_, *steps_;
  std::int64_t sequence_ = -1, kv_head_ = -1, begin_ = -1, end_ = -1, split_ = 0;
  bool k_finite_ = true, v_finite_ = true;
};
