#pragma once

#include <algorithm>
#include <cstdint>

#include "fovea/kernels/attention.h"

/// What attention's vector code shares across instruction sets: a call, one head of it, and who computes
/// what.
namespace fovea::kernels::cpu {

struct AttentionForward {
  const Execution& exec;
  const AttentionExtents& x;
  const AttentionInputs& in;
  float *out, *log_sum_exp;
  std::int64_t lse_stride;
};

struct AttentionBackward {
  const Execution& exec;
  const AttentionExtents& x;
  const AttentionInputs& in;
  const float *out, *log_sum_exp;
  std::int64_t lse_stride;
  const float* d_out;
  const AttentionGradients& d;
};

struct AttentionWeighing {
  const Execution& exec;
  const AttentionExtents& x;
  const AttentionInputs& in;
  const float* log_sum_exp;
  std::int64_t lse_stride;
  const AttentionWeights& wanted;
};

struct Interval {
  std::int64_t begin, end;
  std::int64_t count() const { return end - begin; }
};

/// The pairs of a tile that are visible by position: row r (of queries, say) sees columns
/// first + r <= c < seen + r (of keys).
struct Edges {
  static constexpr std::int64_t far = std::int64_t{1} << 42;
  std::int64_t first = -far, seen = far;

  /// The same pairs with rows and columns exchanged.
  Edges transposed() const { return {1 - seen, 1 - first}; }
  /// Columns of [0, n) that some row of [r0, r1) sees.
  Interval columns(std::int64_t r0, std::int64_t r1, std::int64_t n) const {
    return {std::clamp<std::int64_t>(first + r0, 0, n), std::clamp<std::int64_t>(seen + r1 - 1, 0, n)};
  }
};

/// Keys j0 .. j0+n-1 against a block of queries.
struct KeyTile {
  std::int64_t j0, n;
  Edges edges;
};

inline constexpr std::int64_t key_block = 64;  // keys of a tile

/// One (sequence b, query head h): offsets of its first rows and what its queries see.
struct AttentionHead {
  std::int64_t queries, keys;
  std::int64_t q, k, v, out;  ///< offsets of row 0 of this sequence (k and v: of the tensor, with key_rows)
  const std::int32_t* key_rows;  ///< of this sequence, or null
  std::int64_t b, h, kv_head, query_row, first_key_row;
  std::uint64_t first_element;  ///< of dropout
  std::int64_t shift;           ///< query t stands at position t + shift
  std::int64_t left, right, prefix;

  AttentionHead(const AttentionExtents& x, std::int64_t sequence, std::int64_t head)
      : queries(x.q_count[sequence]),
        keys(x.k_count[sequence]),
        q(x.q_start[sequence] * x.q.row + head * x.q.head),
        k(x.key_rows ? 0 : x.k_start[sequence] * x.k.row),
        v(x.key_rows ? 0 : x.k_start[sequence] * x.v.row),
        out(x.q_start[sequence] * x.out.row + head * x.out.head),
        key_rows(x.key_rows ? x.key_rows + x.k_start[sequence] : nullptr),
        b(sequence),
        h(head),
        kv_head(head / (x.heads / x.kv_heads)),
        query_row(x.q_start[sequence]),
        first_key_row(x.k_start[sequence]),
        first_element(static_cast<std::uint64_t>(sequence * x.heads + head) << 40),
        shift(x.visible.to_end ? keys - queries : 0),
        left(x.visible.left),
        right(x.visible.right),
        prefix(x.visible.prefix ? std::clamp<std::int64_t>(x.visible.prefix[sequence], 0, keys) : 0) {
    k += kv_head * x.k.head;
    v += kv_head * x.v.head;
  }

  /// Becomes the next head of the same sequence.
  void next(const AttentionExtents& x) {
    const std::int64_t group = x.heads / x.kv_heads;
    ++h;
    q += x.q.head;
    out += x.out.head;
    first_element += std::uint64_t{1} << 40;
    if (h % group != 0) return;
    ++kv_head;
    k += x.k.head;
    v += x.v.head;
  }

  std::int64_t key_row(std::int64_t j) const { return key_rows ? key_rows[j] : j; }

  /// Keys that query t sees by position. Both ends never fall from one query to the next.
  Interval visible(std::int64_t t) const {
    const std::int64_t end = std::max(prefix, std::clamp<std::int64_t>(t + shift + right + 1, 0, keys));
    return {std::clamp<std::int64_t>(t + shift - left, 0, end), end};
  }
  /// Keys that some query of t0 .. t1-1 sees.
  Interval visible(std::int64_t t0, std::int64_t t1) const {
    return {visible(t0).begin, visible(t1 - 1).end};
  }
  /// The tile that begins at key j0 and ends before `end`, for queries from t0 on. A tile lies on one side of
  /// the prefix.
  KeyTile tile(std::int64_t t0, std::int64_t j0, std::int64_t end) const {
    const std::int64_t n = std::min(key_block, (j0 < prefix ? std::min(prefix, end) : end) - j0);
    Edges edges;
    if (left < Visibility::unbounded) edges.first = t0 + shift - left - j0;
    if (right < Visibility::unbounded && j0 >= prefix) edges.seen = t0 + shift + right + 1 - j0;
    return {j0, n, edges};
  }

  std::int64_t query_position(const Rotary& r, std::int64_t t) const {
    return r.query_positions ? r.query_positions[query_row + t] : t + shift;
  }
  std::int64_t key_position(const Rotary& r, std::int64_t j) const {
    return r.key_positions ? r.key_positions[key_rows ? key_rows[j] : first_key_row + j] : j;
  }
};

/// Whether scores are more than scale * q.k of what is visible by position.
inline bool edits_scores(const AttentionExtents& x, const AttentionInputs& in) {
  return x.soft_cap > 0.0f || in.bias || in.relative || x.mask.data || x.blocks.data;
}
/// Whether pairs inside what is visible by position may be hidden.
inline bool hides_pairs(const AttentionExtents& x, const AttentionInputs& in) {
  return in.bias || x.mask.data || x.blocks.data;
}

/// How a sequence's queries are cut: `blocks` blocks of at most `block` queries side by side in vector lanes,
/// and the last few, which would leave most lanes of a vector idle, one at a time. A function of the
/// sequence's length alone, so that a row's bits depend neither on its neighbours nor on the threads.
struct QueryBlocks {
  std::int64_t in_lanes = 0, block = 0, blocks = 0, queries = 0;

  QueryBlocks(std::int64_t count, std::int64_t width, std::int64_t max_vectors, std::int64_t most_rest)
      : queries(count) {
    const std::int64_t rest = count % width;
    in_lanes = rest <= most_rest ? count - rest : count;
    const std::int64_t vectors = (in_lanes + width - 1) / width;
    blocks = (vectors + max_vectors - 1) / max_vectors;
    if (blocks > 0) block = (vectors + blocks - 1) / blocks * width;
    if (blocks > 0) blocks = (in_lanes + block - 1) / block;
  }
  std::int64_t units() const { return blocks + (in_lanes < queries ? 1 : 0); }
  std::int64_t begin(std::int64_t unit) const { return unit < blocks ? unit * block : in_lanes; }
  std::int64_t end(std::int64_t unit) const {
    return unit < blocks ? std::min((unit + 1) * block, in_lanes) : queries;
  }
};

/// The part of [0, total) cost that belongs to a worker: a unit is done by whoever owns its middle.
struct Share {
  double begin, end;
  Share(double total, int worker, int workers)
      : begin(total * worker / workers), end(total * (worker + 1) / workers) {
    if (worker == 0) begin = -1.0;
    if (worker == workers - 1) end = total * 2.0 + 1.0;
  }
  bool contains(double from, double cost) const { return from >= begin && from + cost < end; }
  bool owns(double from, double cost) const { return from + cost / 2 >= begin && from + cost / 2 < end; }
  bool overlaps(double from, double cost) const { return from + cost >= begin && from < end; }
};

/// Cost of queries [t0, t1) of a head, in multiply-adds with an allowance for what a unit costs besides.
inline double attention_cost(const AttentionExtents& x, const AttentionHead& head, std::int64_t t0,
                             std::int64_t t1) {
  if (t0 >= t1) return 0.0;
  const double pairs = static_cast<double>(t1 - t0) *
                       static_cast<double>(head.visible(t0).count() + head.visible(t1 - 1).count()) / 2;
  return pairs * static_cast<double>(x.key_width + x.value_width + 20) + 1000.0;
}

/// Workers worth waking for `cost` multiply-adds.
inline int workers_for(const Execution& exec, double cost) {
  return static_cast<int>(std::min<double>(exec.pool->size(), 1.0 + cost / 5e5));
}

namespace plain {
void attention_forward(const AttentionForward& call);
void attention_backward(const AttentionBackward& call);
void attention_weights(const AttentionWeighing& call);
}  // namespace plain
namespace avx2 {
void attention_forward(const AttentionForward& call);
void attention_backward(const AttentionBackward& call);
void attention_weights(const AttentionWeighing& call);
}  // namespace avx2
namespace avx512 {
void attention_forward(const AttentionForward& call);
void attention_backward(const AttentionBackward& call);
void attention_weights(const AttentionWeighing& call);
}  // namespace avx512

}  // namespace fovea::kernels::cpu
