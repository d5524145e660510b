#include "fovea/kernels/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace fovea::kernels::reference {
namespace {

// One (sequence b, head h): where its rows lie and what its queries see.
struct Head {
  const AttentionExtents& x;
  std::int64_t b, h;

  std::int64_t queries() const { return x.q_count[b]; }
  std::int64_t keys() const { return x.k_count[b]; }
  std::int64_t visible(std::int64_t t) const {
    return x.causal ? std::clamp<std::int64_t>(t + 1 + keys() - queries(), 0, keys()) : keys();
  }
  std::int64_t query_row(std::int64_t t) const { return x.q_start[b] + t; }
  std::int64_t key_row(std::int64_t j) const {
    return x.key_rows ? x.key_rows[x.k_start[b] + j] : x.k_start[b] + j;
  }
  std::int64_t kv_head() const { return h / (x.heads / x.kv_heads); }
  std::int64_t q(std::int64_t t) const { return query_row(t) * x.q.row + h * x.q.head; }
  std::int64_t out(std::int64_t t) const { return query_row(t) * x.out.row + h * x.out.head; }
  std::int64_t k(std::int64_t j) const { return key_row(j) * x.k.row + kv_head() * x.k.head; }
  std::int64_t v(std::int64_t j) const { return key_row(j) * x.v.row + kv_head() * x.v.head; }
  double dropout(std::int64_t t, std::int64_t j) const {
    if (!x.dropout.active()) return 1.0;
    const auto first = static_cast<std::uint64_t>(b * x.heads + h) << 40;
    return x.dropout.multiplier(first + static_cast<std::uint64_t>(t * keys() + j));
  }
};

template <class Real>
double dot(const Real* a, const Real* b, std::int64_t count) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

template <class Body>
void for_each_head(const AttentionExtents& x, Body body) {
  for (std::int64_t b = 0; b < x.sequences; ++b)
    for (std::int64_t h = 0; h < x.heads; ++h) body(Head{x, b, h});
}

}  // namespace

template <class Real>
void attention_forward(const AttentionExtents& x, const Real* q, const Real* k, const Real* v, Real* out,
                       Real* log_sum_exp, std::int64_t lse_stride, Real* weights) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> p, mixed;
  for_each_head(x, [&](const Head& head) {
    for (std::int64_t t = 0; t < head.queries(); ++t) {
      const std::int64_t visible = head.visible(t);
      p.assign(static_cast<std::size_t>(head.keys()), 0.0);
      double largest = -infinity, sum = 0.0;
      for (std::int64_t j = 0; j < visible; ++j) {
        p[j] = double{x.scale} * dot(q + head.q(t), k + head.k(j), x.key_width);
        largest = std::max(largest, p[j]);
      }
      for (std::int64_t j = 0; j < visible; ++j) sum += p[j] = std::exp(p[j] - largest);
      for (std::int64_t j = 0; j < visible; ++j) p[j] /= sum;
      mixed.assign(static_cast<std::size_t>(x.value_width), 0.0);
      for (std::int64_t j = 0; j < visible; ++j)
        for (std::int64_t e = 0; e < x.value_width; ++e)
          mixed[e] += head.dropout(t, j) * p[j] * double{v[head.v(j) + e]};
      for (std::int64_t e = 0; e < x.value_width; ++e) out[head.out(t) + e] = static_cast<Real>(mixed[e]);
      if (log_sum_exp)
        log_sum_exp[head.h * lse_stride + head.query_row(t)] =
            static_cast<Real>(visible > 0 ? largest + std::log(sum) : -infinity);
      if (weights)
        for (const double weight : p) *weights++ = static_cast<Real>(weight);
    }
  });
}

// With p = exp(s - lse), m the dropout multipliers and dp[t,j] = m[t,j] * d_out[t].v[j]:
//   d_v[j] = sum_t m[t,j] p[t,j] d_out[t],   ds = p (dp - d_out[t].out[t]),   d_q[t] = scale sum_j ds k[j],
//   d_k[j] = scale sum_t ds q[t]
template <class Real>
void attention_backward(const AttentionExtents& x, const Real* q, const Real* k, const Real* v,
                        const Real* out, const Real* log_sum_exp, std::int64_t lse_stride, const Real* d_out,
                        Real* d_q, Real* d_k, Real* d_v) {
  const std::int64_t group = x.heads / x.kv_heads;
  std::vector<double> dq, dk, dv;
  for_each_head(x, [&](const Head& head) {
    if (head.h % group == 0) {
      dk.assign(static_cast<std::size_t>(head.keys() * x.key_width), 0.0);
      dv.assign(static_cast<std::size_t>(head.keys() * x.value_width), 0.0);
    }
    for (std::int64_t t = 0; t < head.queries(); ++t) {
      const Real *q_t = q + head.q(t), *d_out_t = d_out + head.out(t);
      const double delta = dot(d_out_t, out + head.out(t), x.value_width);
      const double lse = log_sum_exp[head.h * lse_stride + head.query_row(t)];
      dq.assign(static_cast<std::size_t>(x.key_width), 0.0);
      for (std::int64_t j = 0; j < head.visible(t); ++j) {
        const Real *k_j = k + head.k(j), *v_j = v + head.v(j);
        const double p = std::exp(double{x.scale} * dot(q_t, k_j, x.key_width) - lse);
        const double kept = head.dropout(t, j);
        const double ds = double{x.scale} * p * (kept * dot(d_out_t, v_j, x.value_width) - delta);
        for (std::int64_t e = 0; e < x.value_width; ++e)
          dv[j * x.value_width + e] += kept * p * double{d_out_t[e]};
        for (std::int64_t e = 0; e < x.key_width; ++e) dq[e] += ds * double{k_j[e]};
        for (std::int64_t e = 0; e < x.key_width; ++e) dk[j * x.key_width + e] += ds * double{q_t[e]};
      }
      for (std::int64_t e = 0; e < x.key_width; ++e) d_q[head.q(t) + e] = static_cast<Real>(dq[e]);
    }
    if (head.h % group != group - 1) return;
    for (std::int64_t j = 0; j < head.keys(); ++j) {
      for (std::int64_t e = 0; e < x.key_width; ++e)
        d_k[head.k(j) + e] = static_cast<Real>(dk[j * x.key_width + e]);
      for (std::int64_t e = 0; e < x.value_width; ++e)
        d_v[head.v(j) + e] = static_cast<Real>(dv[j * x.value_width + e]);
    }
  });
}

template void attention_forward<float>(const AttentionExtents&, const float*, const float*, const float*,
                                       float*, float*, std::int64_t, float*);
template void attention_forward<double>(const AttentionExtents&, const double*, const double*, const double*,
                                        double*, double*, std::int64_t, double*);
template void attention_backward<float>(const AttentionExtents&, const float*, const float*, const float*,
                                        const float*, const float*, std::int64_t, const float*, float*,
                                        float*, float*);
template void attention_backward<double>(const AttentionExtents&, const double*, const double*, const double*,
                                         const double*, const double*, std::int64_t, const double*, double*,
                                         double*, double*);

}  // namespace fovea::kernels::reference
