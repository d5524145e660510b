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
  const float *q, *k, *v;
  float *out, *log_sum_exp;
  std::int64_t lse_stride;
  float* weights;
};

struct AttentionBackward {
  const Execution& exec;
  const AttentionExtents& x;
  const float *q, *k, *v, *out, *log_sum_exp;
  std::int64_t lse_stride;
  const float* d_out;
  float *d_q, *d_k, *d_v;
};

/// One (sequence b, query head h): offsets of its first rows and what its queries see.
struct AttentionHead {
  std::int64_t queries, keys;
  std::int64_t q, k, v, out;  ///< offsets of row 0 of this sequence (k and v: of the tensor, with key_rows)
  const std::int32_t* key_rows;  ///< of this sequence, or null
  std::int64_t query_row, h, kv_head;
  std::uint64_t first_element;  ///< of dropout
  bool causal;

  AttentionHead(const AttentionExtents& x, std::int64_t b, std::int64_t head)
      : queries(x.q_count[b]),
        keys(x.k_count[b]),
        q(x.q_start[b] * x.q.row + head * x.q.head),
        k(x.key_rows ? 0 : x.k_start[b] * x.k.row),
        v(x.key_rows ? 0 : x.k_start[b] * x.v.row),
        out(x.q_start[b] * x.out.row + head * x.out.head),
        key_rows(x.key_rows ? x.key_rows + x.k_start[b] : nullptr),
        query_row(x.q_start[b]),
        h(head),
        kv_head(head / (x.heads / x.kv_heads)),
        first_element(static_cast<std::uint64_t>(b * x.heads + head) << 40),
        causal(x.causal) {
    k += kv_head * x.k.head;
    v += kv_head * x.v.head;
  }

  std::int64_t key_row(std::int64_t j) const { return key_rows ? key_rows[j] : j; }
  /// Keys that query t sees, not yet cut to [0, keys]: one more for each further query if causal.
  std::int64_t reach(std::int64_t t) const { return causal ? t + 1 + keys - queries : everything; }
  std::int64_t visible(std::int64_t t) const { return std::clamp<std::int64_t>(reach(t), 0, keys); }

  static constexpr std::int64_t everything = std::int64_t{1} << 40;
};

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
  const double pairs =
      static_cast<double>(t1 - t0) * static_cast<double>(head.visible(t0) + head.visible(t1 - 1)) / 2;
  return pairs * static_cast<double>(x.key_width + x.value_width + 20) + 1000.0;
}

/// Workers worth waking for `cost` multiply-adds.
inline int workers_for(const Execution& exec, double cost) {
  return static_cast<int>(std::min<double>(exec.pool->size(), 1.0 + cost / 5e5));
}

namespace plain {
void attention_forward(const AttentionForward& call);
void attention_backward(const AttentionBackward& call);
}  // namespace plain
namespace avx2 {
void attention_forward(const AttentionForward& call);
void attention_backward(const AttentionBackward& call);
}  // namespace avx2
namespace avx512 {
void attention_forward(const AttentionForward& call);
void attention_backward(const AttentionBackward& call);
}  // namespace avx512

}  // namespace fovea::kernels::cpu
