#pragma once

#include <algorithm>
#include <cstdint>

#include "fovea/kernels/additive_attention.h"
#include "fovea/kernels/cpu/attention_plan.h"

/// What additive attention's vector code shares across instruction sets: a call, one head of it, what costs.
namespace fovea::kernels::cpu {

/// With e^{2(q+k)} = e^{2q} e^{2k} a tanh costs one multiply-add and half a division. Rows
/// of factors e^{2x}, padded with ones to whole vectors of every set, are followed by the row's largest |x|:
/// they serve a pair of rows if |q| + |k| < factored_limit, so that the product of two factored denominators,
/// (1 + e^{2(q+k)})^2, stays finite. Rows that are not a multiple of 1024 bytes apart also keep clear of each
/// other in the first cache.
inline constexpr float factored_limit = 21.9f;
constexpr std::int64_t padded_width(std::int64_t width) { return (width + 15) / 16 * 16; }
constexpr std::int64_t factor_row(std::int64_t width) { return padded_width(width) + 16; }

enum class AdditiveResult { context, weights, scores };

struct AdditiveForward {
  const Execution& exec;
  const AdditiveExtents& x;
  const AdditiveInputs& in;
  AdditiveResult result;
  float* out = nullptr;          ///< of context
  float* log_sum_exp = nullptr;  ///< written with context, or null; read with weights
  std::int64_t lse_stride = 0;
  float* pairs = nullptr;  ///< weights or scores
};

struct AdditiveBackward {
  const Execution& exec;
  const AdditiveExtents& x;
  const AdditiveInputs& in;
  const float *out, *log_sum_exp;
  std::int64_t lse_stride;
  const float* d_out;
  const AdditiveGradients& to;
  bool scores_alone = false;
  const float* d_scores = nullptr;  ///< of scores alone
};

struct AdditiveQueryBackward {
  const Execution& exec;
  const AdditiveExtents& x;
  const AdditiveInputs& in;
  const float* d_scores;
  float* d_q;
};

/// Keys [begin, end).
struct KeySpan {
  std::int64_t begin = 0, end = 0;
  bool empty() const { return begin >= end; }
  bool meets(std::int64_t from, std::int64_t to) const { return !empty() && begin < to && from < end; }
  /// The part in a block of n keys from j0 on, counted from there.
  KeySpan within(std::int64_t j0, std::int64_t n) const {
    const std::int64_t from = std::clamp<std::int64_t>(begin - j0, 0, n);
    return {from, std::max(from, std::clamp<std::int64_t>(end - j0, 0, n))};
  }
};

/// One (sequence b, head h): where its rows lie and what its queries see.
struct AdditiveHead {
  const AdditiveExtents& x;
  const AdditiveInputs& in;
  std::int64_t b, h, queries, keys;

  AdditiveHead(const AdditiveExtents& extents, const AdditiveInputs& inputs, std::int64_t sequence,
               std::int64_t head)
      : x(extents),
        in(inputs),
        b(sequence),
        h(head),
        queries(extents.q_count[sequence]),
        keys(extents.k_count[sequence]) {}

  std::int64_t query_row(std::int64_t t) const { return x.q_start[b] + t; }
  std::int64_t key_row(std::int64_t j) const {
    return x.key_rows ? x.key_rows[x.k_start[b] + j] : x.k_start[b] + j;
  }
  std::int64_t q(std::int64_t t) const { return query_row(t) * x.q.row + h * x.q.head; }
  std::int64_t out(std::int64_t t) const { return query_row(t) * x.out.row + h * x.out.head; }
  std::int64_t k(std::int64_t j) const { return key_row(j) * x.k.row + h * x.k.head; }
  std::int64_t value(std::int64_t j) const { return key_row(j) * x.value.row + h * x.value.head; }
  std::int64_t prepared(std::int64_t j) const { return (key_row(j) * x.heads + h) * factor_row(x.width); }
  std::int64_t lse(std::int64_t t, std::int64_t stride) const { return h * stride + query_row(t); }

  /// What query t sees. Neither end ever moves back from one query to the next.
  KeySpan seen(std::int64_t t) const {
    const Visibility& v = x.visible;
    const std::int64_t i = v.to_end ? t + keys - queries : t;
    const std::int64_t prefix = v.prefix ? std::clamp<std::int64_t>(v.prefix[b], 0, keys) : 0;
    const std::int64_t end = std::max(prefix, std::clamp<std::int64_t>(i + v.right + 1, 0, keys));
    return {std::clamp<std::int64_t>(i - v.left, 0, end), end};
  }
  /// What some query of [t0, t1) sees, and perhaps keys between.
  KeySpan seen(std::int64_t t0, std::int64_t t1) const { return {seen(t0).begin, seen(t1 - 1).end}; }

  std::uint64_t dropout_element(std::int64_t t, std::int64_t j) const {
    return (static_cast<std::uint64_t>(b * x.heads + h) << 40) + static_cast<std::uint64_t>(t * keys + j);
  }
};

/// Cost of queries [t0, t1) of a head, in multiply-adds: a tanh and its share of the sum count four.
inline double additive_cost(const AdditiveHead& head, std::int64_t t0, std::int64_t t1) {
  if (t0 >= t1) return 0.0;
  const KeySpan first = head.seen(t0), last = head.seen(t1 - 1);
  const double seen = static_cast<double>(first.end - first.begin + last.end - last.begin) / 2;
  const double pairs = static_cast<double>(t1 - t0) * seen;
  return pairs * static_cast<double>(4 * head.x.width + head.x.value_width + 50) + 1000.0;
}

#define FOVEA_ADDITIVE_SET(set)                                       \
  namespace set::additive {                                           \
  void make_factors(const float* row, std::int64_t width, float* to); \
  void forward(const AdditiveForward& call);                          \
  void backward(const AdditiveBackward& call);                        \
  void backward_to_queries(const AdditiveQueryBackward& call);        \
  }
FOVEA_ADDITIVE_SET(plain)
FOVEA_ADDITIVE_SET(avx2)
FOVEA_ADDITIVE_SET(avx512)
#undef FOVEA_ADDITIVE_SET

}  // namespace fovea::kernels::cpu
