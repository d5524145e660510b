// Rows of bf16 in the layouts that products of units read. Included by attention_bf16.inl.

inline std::int64_t units_of(std::int64_t elements) { return (elements + pair - 1) / pair; }

// One row of queries or keys in units, turned by the angles of its position where the call asks for it.
inline void turned_row(const AttentionExtents& x, const bfloat16* from, std::int64_t position, float* scratch,
                       float* to) {
  if (!x.rotary.active()) return row_to_units(from, x.key_width, to);
  widen_row(from, x.key_width, scratch);
  rotate_row(x.rotary, position, false, scratch);
  row_to_units(scratch, x.key_width, to);
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

// Queries t0 .. t1-1 of a head as the rows of a block.
inline void query_units(const AttentionExtents& x, const AttentionHead& head, const bfloat16* q,
                        std::int64_t t0, std::int64_t t1, float* scratch, UnitBlock& to) {
  for (std::int64_t t = t0; t < t1; ++t)
    turned_row(x, q + head.q + t * x.q.row, x.rotary.active() ? head.query_position(x.rotary, t) : 0, scratch,
               to.row(t - t0));
}

// A chunk of a head's keys and values in units, keys as rows; what a product steps over, as steps. Tiles
// begin at even places of a chunk: if its keys are cut by an odd prefix, a row of zeros comes in between.
class KeyUnits {
 public:
  enum class For { forward, backward };

  KeyUnits(const AttentionExtents& x, const AttentionInputsBf16& in, For use, Arena& arena)
      : x_(x),
        in_(in),
        use_(use),
        key_row_(round_up(units_of(x.key_width))),
        value_row_(round_up(units_of(x.value_width))),
        key_columns_(round_up(x.key_width)),
        value_columns_(round_up(x.value_width)),
        turned_(arena.take(key_columns_)),
        k_rows_(arena.take(capacity(x) * key_row_)),
        v_rows_(arena.take(capacity(x) * value_row_)),
        steps_(pair > 1 ? arena.take(capacity(x) / pair * step_columns()) : nullptr) {}

  // Keys begin .. end-1; begin is even.
  void move_to(const AttentionHead& head, std::int64_t begin, std::int64_t end) {
    if (head.b == sequence_ && head.kv_head == kv_head_ && begin == begin_ && end == end_) return;
    sequence_ = head.b;
    kv_head_ = head.kv_head;
    begin_ = begin;
    end_ = end;
    split_ = head.prefix > begin && head.prefix < end && head.prefix % pair ? head.prefix : end;
    k_finite_ = v_finite_ = true;
    for (std::int64_t j = begin; j < end; ++j) {
      const std::int64_t row = head.key_row(j), at = slot(j);
      const bfloat16 *const k = in_.k + head.k + row * x_.k.row, *const v = in_.v + head.v + row * x_.v.row;
      turned_row(x_, k, x_.rotary.active() ? head.key_position(x_.rotary, j) : 0, turned_,
                 k_rows_ + at * key_row_);
      row_to_units(v, x_.value_width, v_rows_ + at * value_row_);
      k_finite_ = k_finite_ && finite_row(k, x_.key_width);
      v_finite_ = v_finite_ && finite_row(v, x_.value_width);
    }
    if (pair > 1) make_steps();
  }

  std::int64_t begin() const { return begin_; }
  std::int64_t end() const { return end_; }
  bool k_finite() const { return k_finite_; }
  bool v_finite() const { return v_finite_; }
  // From key j on; for steps the first of a tile.
  Panel k(std::int64_t j) const { return {k_rows_ + slot(j) * key_row_, key_row_}; }
  Panel v(std::int64_t j) const { return {v_rows_ + slot(j) * value_row_, value_row_}; }
  Panel v_steps(std::int64_t j) const {
    return pair > 1 ? Panel{steps_ + slot(j) / pair * value_columns_, value_columns_} : v(j);
  }
  Panel k_steps(std::int64_t j) const {
    return pair > 1 ? Panel{steps_ + slot(j) / pair * key_columns_, key_columns_} : k(j);
  }

  static std::int64_t most_rows(const AttentionExtents& x) { return std::min(chunk_keys(x), most_keys(x)); }

 private:
  static std::int64_t capacity(const AttentionExtents& x) { return most_rows(x) + 2 * pair; }
  std::int64_t step_columns() const { return use_ == For::forward ? value_columns_ : key_columns_; }
  std::int64_t slot(std::int64_t j) const { return j - begin_ + (j >= split_ ? 1 : 0); }

  void make_steps() {
    float* const rows = use_ == For::forward ? v_rows_ : k_rows_;
    const std::int64_t row = use_ == For::forward ? value_row_ : key_row_;
    if (split_ < end_) std::fill_n(rows + (split_ - begin_) * row, row, 0.0f);
    const std::int64_t last = slot(end_ - 1) + 1;
    std::fill_n(rows + last * row, row, 0.0f);
    for (std::int64_t i = 0; i < last; i += pair)
      rows_to_step(rows + i * row, row, step_columns(), steps_ + i / pair * step_columns());
  }

  const AttentionExtents& x_;
  const AttentionInputsBf16& in_;
  For use_;
  std::int64_t key_row_, value_row_, key_columns_, value_columns_;
  float *turned_, *k_rows_, *v_rows_, *steps_;
  std::int64_t sequence_ = -1, kv_head_ = -1, begin_ = -1, end_ = -1, split_ = 0;
  bool k_finite_ = true, v_finite_ = true;
};
