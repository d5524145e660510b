// Rows of queries, keys and values in the layouts that products read: transposed into lanes, or dense,
// rotated by their positions where the call asks for it. Included by attention.inl.

// to[d*to_stride + lane] = factor * row(lane)[d] for d < count: rows become lanes. Lanes past the last row of
// the last vector repeat it; nobody looks at them.
inline void rows_to_lanes(const float* from, std::int64_t row_stride, std::int64_t rows, std::int64_t count,
                          float factor, float* to, std::int64_t to_stride) {
  for (std::int64_t first = 0; first < rows; first += width, to += width) {
    const float* row[width];
    for (int i = 0; i < width; ++i) row[i] = from + std::min(first + i, rows - 1) * row_stride;
    std::int64_t d = 0;
    for (; d + 4 <= count; d += 4) transpose4(row, d, to + d * to_stride, to_stride, factor);
    for (; d < count; ++d)
      for (int i = 0; i < width; ++i) to[d * to_stride + i] = factor * row[i][d];
  }
}

inline std::int64_t round_up(std::int64_t count) { return (count + width - 1) / width * width; }

inline void copy_row(const float* from, std::int64_t count, float* to) {
  std::int64_t e = 0;
  for (; e + width <= count; e += width) store(to + e, load(from + e));
  if (e < count)
    store_first(to + e, load_first(from + e, static_cast<int>(count - e)), static_cast<int>(count - e));
}

// As copy_row, with zeros up to the next multiple of width.
inline void copy_row_padded(const float* from, std::int64_t count, float* to) {
  std::int64_t e = 0;
  for (; e + width <= count; e += width) store(to + e, load(from + e));
  if (e < count) store(to + e, load_first(from + e, static_cast<int>(count - e)));
}

// to += row
inline void add_row(const float* row, std::int64_t count, float* to) {
  std::int64_t e = 0;
  for (; e + width <= count; e += width) store(to + e, add(load(to + e), load(row + e)));
  const int rest = static_cast<int>(count - e);
  if (rest > 0) store_first(to + e, add(load_first(to + e, rest), load_first(row + e, rest)), rest);
}

// Turns a row by the angles of its position, or back.
inline void rotate_row(const Rotary& r, std::int64_t position, bool back, float* row) {
  const std::int64_t half = r.width / 2;
  const float *const cos = r.cos + position * half, *const sin = r.sin + position * half;
  const float sign = back ? -1.0f : 1.0f;
  if (r.interleaved) {
    for (std::int64_t e = 0; e < half; ++e) {
      const float x = row[2 * e], y = row[2 * e + 1], s = sign * sin[e];
      row[2 * e] = x * cos[e] - y * s;
      row[2 * e + 1] = y * cos[e] + x * s;
    }
    return;
  }
  std::int64_t e = 0;
  for (; e + width <= half; e += width) {
    const Floats x = load(row + e), y = load(row + half + e);
    const Floats c = load(cos + e), s = mul(broadcast(sign), load(sin + e));
    store(row + e, sub(mul(x, c), mul(y, s)));
    store(row + half + e, add(mul(y, c), mul(x, s)));
  }
  for (; e < half; ++e) {
    const float x = row[e], y = row[half + e], s = sign * sin[e];
    row[e] = x * cos[e] - y * s;
    row[half + e] = y * cos[e] + x * s;
  }
}

// Rows of a matrix whose width is a multiple of the vectors' (or whose columns are read one by one).
struct Panel {
  const float* data;
  std::int64_t row;
};

// Scratch memory handed out piece by piece, in whole cache lines; without memory it only counts.
class Arena {
 public:
  explicit Arena(float* base = nullptr) : base_(base) {}
  float* take(std::int64_t count) {
    const std::int64_t at = used_;
    used_ += (count + 15) / 16 * 16;
    return base_ ? base_ + at : nullptr;
  }
  std::size_t used() const { return static_cast<std::size_t>(used_); }

 private:
  float* base_;
  std::int64_t used_ = 0;
};

// Queries t0 .. t1-1 of a head as rows for a product's B: in place, or in `scratch` if they have to be padded
// or rotated.
inline Panel query_rows(const AttentionExtents& x, const AttentionHead& head, const float* q, std::int64_t t0,
                        std::int64_t t1, float* scratch) {
  const float* const from = q + head.q + t0 * x.q.row;
  if (x.key_width % width == 0 && !x.rotary.active()) return {from, x.q.row};
  const std::int64_t row = round_up(x.key_width);
  for (std::int64_t t = t0; t < t1; ++t) {
    float* const to = scratch + (t - t0) * row;
    copy_row_padded(from + (t - t0) * x.q.row, x.key_width, to);
    if (x.rotary.active()) rotate_row(x.rotary, head.query_position(x.rotary, t), false, to);
  }
  return {scratch, row};
}

// Queries as lanes, times scale * log2 e: scores are in base 2.
inline void query_lanes(const AttentionExtents& x, const AttentionHead& head, const float* q, std::int64_t t0,
                        std::int64_t t1, float* row_scratch, float* lanes, std::int64_t stride) {
  const Panel rows = x.rotary.active() ? query_rows(x, head, q, t0, t1, row_scratch)
                                       : Panel{q + head.q + t0 * x.q.row, x.q.row};
  rows_to_lanes(rows.data, rows.row, t1 - t0, x.key_width, x.scale * log2_e, lanes, stride);
}

// Keys of a chunk: as many as leave keys, values and their gradients room in the second cache. A function of
// the widths alone.
inline std::int64_t chunk_keys(const AttentionExtents& x) {
  const std::int64_t wide = round_up(x.key_width) + round_up(x.value_width);
  return std::clamp<std::int64_t>(65536 / wide / key_block * key_block, key_block, 512);
}

inline std::int64_t most_keys(const AttentionExtents& x) {
  return x.sequences > 0 ? *std::max_element(x.k_count, x.k_count + x.sequences) : 0;
}

// A chunk of a head's keys and values as rows for products: in place, or copied side by side if rows are
// picked by index, have to be padded or rotated, or are read so often that rows far apart would fight for
// cache lines. A chunk stays until another is asked for.
class KeyChunk {
 public:
  KeyChunk(const AttentionExtents& x, const AttentionInputs& in, Arena& arena)
      : x_(x),
        in_(in),
        key_columns_(round_up(x.key_width)),
        value_columns_(round_up(x.value_width)),
        k_rows_(arena.take(capacity(x) * key_columns_)),
        v_rows_(arena.take(capacity(x) * value_columns_)) {}

  static std::int64_t capacity(const AttentionExtents& x) { return std::min(chunk_keys(x), most_keys(x)); }

  // Keys begin .. end-1. Rows read once may stay in place: k's if its columns are read one by one or are
  // whole vectors, v's if they are whole vectors.
  void move_to(const AttentionHead& head, std::int64_t begin, std::int64_t end, bool k_in_place,
               bool v_in_place) {
    if (head.b == sequence_ && head.kv_head == kv_head_ && begin == begin_ && end == end_) return;
    sequence_ = head.b;
    kv_head_ = head.kv_head;
    begin_ = begin;
    end_ = end;
    const float *const k = in_.k + head.k, *const v = in_.v + head.v;
    if (k_in_place && !head.key_rows && !x_.rotary.active()) {
      k_ = {k + begin * x_.k.row, x_.k.row};
    } else {
      k_ = {k_rows_, key_columns_};
      gather(head, k, x_.k.row, x_.key_width, k_rows_, key_columns_);
      for (std::int64_t j = begin; x_.rotary.active() && j < end; ++j)
        rotate_row(x_.rotary, head.key_position(x_.rotary, j), false, k_rows_ + (j - begin) * key_columns_);
    }
    if (v_in_place && !head.key_rows) {
      v_ = {v + begin * x_.v.row, x_.v.row};
    } else {
      v_ = {v_rows_, value_columns_};
      gather(head, v, x_.v.row, x_.value_width, v_rows_, value_columns_);
    }
  }

  std::int64_t begin() const { return begin_; }
  std::int64_t end() const { return end_; }
  // Rows from key j on.
  Panel k(std::int64_t j) const { return {k_.data + (j - begin_) * k_.row, k_.row}; }
  Panel v(std::int64_t j) const { return {v_.data + (j - begin_) * v_.row, v_.row}; }

 private:
  void gather(const AttentionHead& head, const float* from, std::int64_t row_stride, std::int64_t count,
              float* to, std::int64_t to_stride) const {
    for (std::int64_t j = begin_; j < end_; ++j, to += to_stride)
      copy_row_padded(from + head.key_row(j) * row_stride, count, to);
  }

  const AttentionExtents& x_;
  const AttentionInputs& in_;
  std::int64_t key_columns_, value_columns_;
  float *k_rows_, *v_rows_;
  std::int64_t sequence_ = -1, kv_head_ = -1, begin_ = -1, end_ = -1;
  Panel k_{}, v_{};
};
