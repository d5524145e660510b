#include "fovea/kernels/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

namespace fovea::kernels::reference {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class Real>
double dot(const Real* a, const Real* b, std::int64_t count) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

// Turns a row by its position's angles, or back.
void rotate(const Rotary& r, std::int64_t position, bool back, double* row) {
  for (std::int64_t e = 0; e < r.width / 2; ++e) {
    double& x = row[r.interleaved ? 2 * e : e];
    double& y = row[r.interleaved ? 2 * e + 1 : e + r.width / 2];
    const double cos = r.cos[position * (r.width / 2) + e], sin = r.sin[position * (r.width / 2) + e];
    const double s = back ? -sin : sin, turned = x * cos - y * s;
    y = y * cos + x * s;
    x = turned;
  }
}

// One (sequence b, head h): where its rows lie and what its queries see.
template <class Real>
struct Head {
  const AttentionExtents& x;
  const AttentionInputsOf<Real>& in;
  std::int64_t b, h;

  std::int64_t queries() const { return x.q_count[b]; }
  std::int64_t keys() const { return x.k_count[b]; }
  std::int64_t query_row(std::int64_t t) const { return x.q_start[b] + t; }
  std::int64_t key_row(std::int64_t j) const {
    return x.key_rows ? x.key_rows[x.k_start[b] + j] : x.k_start[b] + j;
  }
  std::int64_t kv_head() const { return h / (x.heads / x.kv_heads); }
  std::int64_t q(std::int64_t t) const { return query_row(t) * x.q.row + h * x.q.head; }
  std::int64_t out(std::int64_t t) const { return query_row(t) * x.out.row + h * x.out.head; }
  std::int64_t k(std::int64_t j) const { return key_row(j) * x.k.row + kv_head() * x.k.head; }
  std::int64_t v(std::int64_t j) const { return key_row(j) * x.v.row + kv_head() * x.v.head; }
  std::int64_t pair(const PairStrides& s, std::int64_t t, std::int64_t j) const {
    return b * s.sequence + h * s.head + t * s.query + j * s.key;
  }
  std::int64_t position(std::int64_t t) const { return x.visible.to_end ? t + keys() - queries() : t; }
  std::int64_t relative(std::int64_t t, std::int64_t j) const {
    return h * x.relative.head + x.relative.zero + position(t) - j;
  }
  double dropout(std::int64_t t, std::int64_t j) const {
    if (!x.dropout.active()) return 1.0;
    const auto first = static_cast<std::uint64_t>(b * x.heads + h) << 40;
    return x.dropout.multiplier(first + static_cast<std::uint64_t>(t * keys() + j));
  }

  bool visible(std::int64_t t, std::int64_t j) const {
    const std::int64_t i = position(t);
    const bool near = i - x.visible.left <= j && j <= i + x.visible.right;
    if (!near && !(x.visible.prefix && j < x.visible.prefix[b])) return false;
    if (x.mask.data && !x.mask.data[pair(x.mask.strides, t, j)]) return false;
    if (x.blocks.data &&
        !x.blocks.data[pair(x.blocks.strides, t / x.blocks.query_block, j / x.blocks.key_block)])
      return false;
    return !in.bias || in.bias[pair(x.bias, t, j)] != -infinity;
  }

  std::int64_t query_position(std::int64_t t) const {
    return x.rotary.query_positions ? x.rotary.query_positions[query_row(t)] : position(t);
  }
  std::int64_t key_position(std::int64_t j) const {
    return x.rotary.key_positions ? x.rotary.key_positions[key_row(j)] : j;
  }
  std::vector<double> query(std::int64_t t) const {
    std::vector<double> row(in.q + q(t), in.q + q(t) + x.key_width);
    if (x.rotary.active()) rotate(x.rotary, query_position(t), false, row.data());
    return row;
  }
  // The rotated keys [keys, E] of those that some query sees.
  std::vector<double> all_keys() const {
    std::vector<double> rows(static_cast<std::size_t>(keys() * x.key_width), 0.0);
    for (std::int64_t j = 0; j < keys(); ++j) {
      double* const row = rows.data() + j * x.key_width;
      std::copy_n(in.k + k(j), x.key_width, row);
      if (x.rotary.active()) rotate(x.rotary, key_position(j), false, row);
    }
    return rows;
  }

  // A score, and its derivative by scale * q.k.
  struct Score {
    double value, slope;
  };
  Score score(const double* query, const double* key, std::int64_t t, std::int64_t j) const {
    Score s{double{x.scale} * dot(query, key, x.key_width), 1.0};
    if (x.soft_cap > 0.0f) {
      const double u = std::tanh(s.value / double{x.soft_cap});
      s = {double{x.soft_cap} * u, 1.0 - u * u};
    }
    if (in.bias) s.value += in.bias[pair(x.bias, t, j)];
    if (in.relative) s.value += in.relative[relative(t, j)];
    return s;
  }
};

template <class Real, class Body>
void for_each_head(const AttentionExtents& x, const AttentionInputsOf<Real>& in, Body body) {
  for (std::int64_t b = 0; b < x.sequences; ++b)
    for (std::int64_t h = 0; h < x.heads; ++h) body(Head<Real>{x, in, b, h});
}

// The gradient of a tensor with strides, zeroed where some sequence has a pair.
template <class Real>
void clear_pairs(const AttentionExtents& x, const AttentionInputsOf<Real>& in, Real* gradient) {
  for_each_head(x, in, [&](const Head<Real>& head) {
    for (std::int64_t t = 0; t < head.queries(); ++t)
      for (std::int64_t j = 0; j < head.keys(); ++j) gradient[head.pair(x.bias, t, j)] = Real{0};
  });
}

}  // namespace

template <class Real>
void attention_forward(const AttentionExtents& x, const AttentionInputsOf<Real>& in, Real* out,
                       Real* log_sum_exp, std::int64_t lse_stride) {
  std::vector<double> p, mixed;
  for_each_head(x, in, [&](const Head<Real>& head) {
    const std::vector<double> keys = head.all_keys();
    for (std::int64_t t = 0; t < head.queries(); ++t) {
      const std::vector<double> query = head.query(t);
      const double sink = in.sinks ? double{in.sinks[head.h]} : -infinity;
      p.assign(static_cast<std::size_t>(head.keys()), -infinity);
      double largest = sink;
      for (std::int64_t j = 0; j < head.keys(); ++j) {
        if (!head.visible(t, j)) continue;
        p[j] = head.score(query.data(), keys.data() + j * x.key_width, t, j).value;
        largest = std::max(largest, p[j]);
      }
      double sum = sink == -infinity ? 0.0 : std::exp(sink - largest);
      mixed.assign(static_cast<std::size_t>(x.value_width), 0.0);
      for (std::int64_t j = 0; j < head.keys(); ++j) {
        if (!head.visible(t, j)) continue;
        p[j] = std::exp(p[j] - largest);
        sum += p[j];
        for (std::int64_t e = 0; e < x.value_width; ++e)
          mixed[e] += head.dropout(t, j) * p[j] * double{in.v[head.v(j) + e]};
      }
      for (std::int64_t e = 0; e < x.value_width; ++e)
        out[head.out(t) + e] = static_cast<Real>(sum == 0.0 ? 0.0 : mixed[e] / sum);
      if (log_sum_exp)
        log_sum_exp[head.h * lse_stride + head.query_row(t)] =
            static_cast<Real>(sum == 0.0 ? -infinity : largest + std::log(sum));
    }
  });
}

// With p = exp(s - lse), m the dropout multipliers and dp[t,j] = m[t,j] * d_out[t].v[j]:
//   d_v[j] = sum_t m[t,j] p[t,j] d_out[t],   ds = p (dp - d_out[t].out[t]) (what biases get),
//   da = ds * (slope of the cap),  d_q[t] = scale sum_j da k[j],  d_k[j] = scale sum_t da q[t]
//   d_sink = -sum_t exp(sink - lse) d_out[t].out[t]
template <class Real>
void attention_backward(const AttentionExtents& x, const AttentionInputsOf<Real>& in, const Real* out,
                        const Real* log_sum_exp, std::int64_t lse_stride, const Real* d_out,
                        const AttentionGradientsOf<Real>& d) {
  const std::int64_t group = x.heads / x.kv_heads, E = x.key_width, Ev = x.value_width;
  if (d.bias) clear_pairs(x, in, d.bias);
  for (std::int64_t h = 0; d.relative && h < x.heads; ++h)
    std::fill_n(d.relative + h * x.relative.head, x.relative.count, Real{0});
  if (d.sinks) std::fill_n(d.sinks, x.heads, Real{0});
  std::vector<double> dq, dk, dv;
  for_each_head(x, in, [&](const Head<Real>& head) {
    const std::vector<double> keys = head.all_keys();
    if (head.h % group == 0) {
      dk.assign(static_cast<std::size_t>(head.keys() * E), 0.0);
      dv.assign(static_cast<std::size_t>(head.keys() * Ev), 0.0);
    }
    for (std::int64_t t = 0; t < head.queries(); ++t) {
      const std::vector<double> query = head.query(t);
      const Real* d_out_t = d_out + head.out(t);
      const double delta = dot(d_out_t, out + head.out(t), Ev);
      const double lse = log_sum_exp[head.h * lse_stride + head.query_row(t)];
      if (d.sinks && lse != -infinity)
        d.sinks[head.h] -= static_cast<Real>(std::exp(double{in.sinks[head.h]} - lse) * delta);
      dq.assign(static_cast<std::size_t>(E), 0.0);
      for (std::int64_t j = 0; j < head.keys(); ++j) {
        if (!head.visible(t, j)) continue;
        const double* key = keys.data() + j * E;
        const auto score = head.score(query.data(), key, t, j);
        const double p = std::exp(score.value - lse), kept = head.dropout(t, j);
        const double ds = p * (kept * dot(d_out_t, in.v + head.v(j), Ev) - delta);
        const double da = double{x.scale} * score.slope * ds;
        if (d.bias) d.bias[head.pair(x.bias, t, j)] += static_cast<Real>(ds);
        if (d.relative) d.relative[head.relative(t, j)] += static_cast<Real>(ds);
        for (std::int64_t e = 0; e < Ev; ++e) dv[j * Ev + e] += kept * p * double{d_out_t[e]};
        for (std::int64_t e = 0; e < E; ++e) dq[e] += da * key[e];
        for (std::int64_t e = 0; e < E; ++e) dk[j * E + e] += da * query[e];
      }
      if (x.rotary.active()) rotate(x.rotary, head.query_position(t), true, dq.data());
      for (std::int64_t e = 0; e < E; ++e) d.q[head.q(t) + e] = static_cast<Real>(dq[e]);
    }
    if (head.h % group != group - 1) return;
    for (std::int64_t j = 0; j < head.keys(); ++j) {
      if (x.rotary.active()) rotate(x.rotary, head.key_position(j), true, dk.data() + j * E);
      for (std::int64_t e = 0; e < E; ++e) d.k[head.k(j) + e] = static_cast<Real>(dk[j * E + e]);
      for (std::int64_t e = 0; e < Ev; ++e) d.v[head.v(j) + e] = static_cast<Real>(dv[j * Ev + e]);
    }
  });
}

namespace {

void top_of_row(const std::vector<double>& p, const std::vector<bool>& visible, std::int64_t top,
                float* weights, std::int32_t* keys) {
  std::vector<std::int32_t> order;
  for (std::size_t j = 0; j < p.size(); ++j)
    if (visible[j]) order.push_back(static_cast<std::int32_t>(j));
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] > p[b]; });
  for (std::int64_t i = 0; i < top; ++i) {
    const bool there = i < static_cast<std::int64_t>(order.size());
    if (weights) weights[i] = there ? static_cast<float>(p[order[i]]) : 0.0f;
    if (keys) keys[i] = there ? order[i] : -1;
  }
}

}  // namespace

void attention_weights(const AttentionExtents& x, const AttentionInputs& in, const float* log_sum_exp,
                       std::int64_t lse_stride, const AttentionWeights& w) {
  float* all = w.all;
  const std::int64_t heads = w.heads ? w.head_count : x.heads;
  for (std::int64_t b = 0; b < x.sequences; ++b)
    for (std::int64_t i = 0; i < heads; ++i) {
      const Head<float> head{x, in, b, w.heads ? w.heads[i] : i};
      const std::vector<double> keys = head.all_keys();
      std::vector<double> columns(static_cast<std::size_t>(head.keys()), 0.0);
      for (std::int64_t t = 0; t < head.queries(); ++t) {
        const std::int64_t row = head.query_row(t);
        if (w.rows && !std::binary_search(w.rows, w.rows + w.row_count, row)) continue;
        const std::vector<double> query = head.query(t);
        const double lse = log_sum_exp[head.h * lse_stride + row];
        std::vector<double> p(static_cast<std::size_t>(head.keys()), 0.0);
        std::vector<bool> visible(p.size());
        double entropy = 0.0;
        for (std::int64_t j = 0; j < head.keys(); ++j) {
          if (!(visible[j] = head.visible(t, j))) continue;
          const double s = head.score(query.data(), keys.data() + j * x.key_width, t, j).value;
          p[j] = std::exp(s - lse);
          if (p[j] != 0.0) entropy += p[j] * (lse - s);
          columns[j] += p[j];
        }
        const std::int64_t at = i * w.row_stride + row;
        if (w.top > 0)
          top_of_row(p, visible, w.top, w.top_weights ? w.top_weights + at * w.top : nullptr,
                     w.top_keys ? w.top_keys + at * w.top : nullptr);
        if (w.entropy) w.entropy[at] = static_cast<float>(entropy);
        if (all)
          for (const double weight : p) *all++ = static_cast<float>(weight);
      }
      for (std::int64_t j = 0; w.column_sums && j < head.keys(); ++j)
        w.column_sums[i * w.column_stride + x.k_start[b] + j] = static_cast<float>(columns[j]);
    }
}

#define FOVEA_INSTANTIATE(Real)                                                                         \
  template void attention_forward<Real>(const AttentionExtents&, const AttentionInputsOf<Real>&, Real*, \
                                        Real*, std::int64_t);                                           \
  template void attention_backward<Real>(const AttentionExtents&, const AttentionInputsOf<Real>&,       \
                                         const Real*, const Real*, std::int64_t, const Real*,           \
                                         const AttentionGradientsOf<Real>&)
FOVEA_INSTANTIATE(float);
FOVEA_INSTANTIATE(double);
#undef FOVEA_INSTANTIATE

}  // namespace fovea::kernels::reference
