#include "fovea/kernels/reference/additive_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace fovea::kernels::reference {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// One (sequence b, head h): where its rows lie and what its queries see.
struct Head {
  const AdditiveExtents& x;
  std::int64_t b, h;

  std::int64_t queries() const { return x.q_count[b]; }
  std::int64_t keys() const { return x.k_count[b]; }
  bool sees(std::int64_t t, std::int64_t j) const {
    const std::int64_t i = x.visible.to_end ? t + keys() - queries() : t;
    return (i - x.visible.left <= j && j <= i + x.visible.right) ||
           (x.visible.prefix && j < x.visible.prefix[b]);
  }
  std::int64_t query_row(std::int64_t t) const { return x.q_start[b] + t; }
  std::int64_t key_row(std::int64_t j) const {
    return x.key_rows ? x.key_rows[x.k_start[b] + j] : x.k_start[b] + j;
  }
  std::int64_t q(std::int64_t t) const { return query_row(t) * x.q.row + h * x.q.head; }
  std::int64_t out(std::int64_t t) const { return query_row(t) * x.out.row + h * x.out.head; }
  std::int64_t k(std::int64_t j) const { return key_row(j) * x.k.row + h * x.k.head; }
  std::int64_t value(std::int64_t j) const { return key_row(j) * x.value.row + h * x.value.head; }
  double dropout(std::int64_t t, std::int64_t j) const {
    if (!x.dropout.active()) return 1.0;
    const auto first = static_cast<std::uint64_t>(b * x.heads + h) << 40;
    return x.dropout.multiplier(first + static_cast<std::uint64_t>(t * keys() + j));
  }
};

template <class Body>
void for_each_head(const AdditiveExtents& x, Body body) {
  for (std::int64_t b = 0; b < x.sequences; ++b)
    for (std::int64_t h = 0; h < x.heads; ++h) body(Head{x, b, h});
}

template <class Real>
double score(const Head& head, const AdditiveInputsOf<Real>& in, std::int64_t t, std::int64_t j) {
  const Real *q = in.q + head.q(t), *k = in.k + head.k(j), *v = in.v + head.h * head.x.width;
  double sum = 0.0;
  for (std::int64_t d = 0; d < head.x.width; ++d)
    sum += double{v[d]} * std::tanh(double{q[d]} + double{k[d]});
  return sum;
}

// Sums of the gradients in double, rounded when all is added.
template <class Real>
class Sums {
 public:
  Sums(const AdditiveExtents& x, const AdditiveInputsOf<Real>& in)
      : x_(x), in_(in), v_(static_cast<std::size_t>(x.heads * x.width), 0.0) {}

  void begin(const Head& head) {
    q_.assign(static_cast<std::size_t>(head.queries() * x_.width), 0.0);
    k_.assign(static_cast<std::size_t>(head.keys() * x_.width), 0.0);
  }

  // d tanh = 1 - tanh^2
  void add(const Head& head, std::int64_t t, std::int64_t j, double d_score) {
    const Real *q = in_.q + head.q(t), *k = in_.k + head.k(j), *v = in_.v + head.h * x_.width;
    for (std::int64_t d = 0; d < x_.width; ++d) {
      const double y = std::tanh(double{q[d]} + double{k[d]}), share = d_score * double{v[d]} * (1.0 - y * y);
      q_[t * x_.width + d] += share;
      k_[j * x_.width + d] += share;
      v_[head.h * x_.width + d] += d_score * y;
    }
  }

  void end(const Head& head, const AdditiveGradientsOf<Real>& to) const {
    for (std::int64_t t = 0; t < head.queries(); ++t)
      std::copy_n(q_.begin() + t * x_.width, x_.width, to.q + head.q(t));
    for (std::int64_t j = 0; to.k && j < head.keys(); ++j)
      std::copy_n(k_.begin() + j * x_.width, x_.width, to.k + head.k(j));
  }

  void finish(const AdditiveGradientsOf<Real>& to) const {
    if (to.v) std::copy(v_.begin(), v_.end(), to.v);
  }

 private:
  const AdditiveExtents& x_;
  const AdditiveInputsOf<Real>& in_;
  std::vector<double> q_, k_, v_;
};

}  // namespace

template <class Real>
void additive_attention_forward(const AdditiveExtents& x, const AdditiveInputsOf<Real>& in, Real* out,
                                Real* log_sum_exp, std::int64_t lse_stride) {
  std::vector<double> p, mixed;
  for_each_head(x, [&](const Head& head) {
    for (std::int64_t t = 0; t < head.queries(); ++t) {
      p.assign(static_cast<std::size_t>(head.keys()), -infinity);
      mixed.assign(static_cast<std::size_t>(x.value_width), 0.0);
      double largest = -infinity, sum = 0.0;
      bool sees = false;
      for (std::int64_t j = 0; j < head.keys(); ++j) {
        if (!head.sees(t, j)) continue;
        sees = true;
        p[j] = score(head, in, t, j);
        largest = std::max(largest, p[j]);
      }
      for (std::int64_t j = 0; j < head.keys(); ++j)
        if (head.sees(t, j)) sum += p[j] = std::exp(p[j] - largest);
      for (std::int64_t j = 0; j < head.keys(); ++j)
        for (std::int64_t e = 0; head.sees(t, j) && e < x.value_width; ++e)
          mixed[e] += head.dropout(t, j) * (p[j] / sum) * double{in.value[head.value(j) + e]};
      std::copy(mixed.begin(), mixed.end(), out + head.out(t));
      if (log_sum_exp)
        log_sum_exp[head.h * lse_stride + head.query_row(t)] =
            static_cast<Real>(sees ? largest + std::log(sum) : -infinity);
    }
  });
}

template <class Real>
void additive_attention_weights(const AdditiveExtents& x, const AdditiveInputsOf<Real>& in,
                                const Real* log_sum_exp, std::int64_t lse_stride, Real* weights) {
  for_each_head(x, [&](const Head& head) {
    for (std::int64_t t = 0; t < head.queries(); ++t) {
      const double lse = log_sum_exp[head.h * lse_stride + head.query_row(t)];
      for (std::int64_t j = 0; j < head.keys(); ++j)
        *weights++ = static_cast<Real>(head.sees(t, j) ? std::exp(score(head, in, t, j) - lse) : 0.0);
    }
  });
}

// With p = exp(score - lse), m the dropout multipliers and dp[t,j] = m[t,j] * d_out[t].value[j]:
//   d_value[j] = sum_t m[t,j] p[t,j] d_out[t],   d_score = p (dp - d_out[t].out[t])
template <class Real>
void additive_attention_backward(const AdditiveExtents& x, const AdditiveInputsOf<Real>& in, const Real* out,
                                 const Real* log_sum_exp, std::int64_t lse_stride, const Real* d_out,
                                 const AdditiveGradientsOf<Real>& to) {
  Sums<Real> sums(x, in);
  std::vector<double> d_value;
  for_each_head(x, [&](const Head& head) {
    sums.begin(head);
    d_value.assign(static_cast<std::size_t>(head.keys() * x.value_width), 0.0);
    for (std::int64_t t = 0; t < head.queries(); ++t) {
      const Real *d_out_t = d_out + head.out(t), *out_t = out + head.out(t);
      const double lse = log_sum_exp[head.h * lse_stride + head.query_row(t)];
      double delta = 0.0;
      for (std::int64_t e = 0; e < x.value_width; ++e) delta += double{d_out_t[e]} * double{out_t[e]};
      for (std::int64_t j = 0; j < head.keys(); ++j) {
        if (!head.sees(t, j)) continue;
        const double p = std::exp(score(head, in, t, j) - lse), kept = head.dropout(t, j);
        double dp = 0.0;
        for (std::int64_t e = 0; e < x.value_width; ++e) {
          dp += kept * double{d_out_t[e]} * double{in.value[head.value(j) + e]};
          d_value[j * x.value_width + e] += kept * p * double{d_out_t[e]};
        }
        sums.add(head, t, j, p * (dp - delta));
      }
    }
    sums.end(head, to);
    for (std::int64_t j = 0; j < head.keys(); ++j)
      std::copy_n(d_value.begin() + j * x.value_width, x.value_width, to.value + head.value(j));
  });
  sums.finish(to);
}

template <class Real>
void additive_scores_forward(const AdditiveExtents& x, const AdditiveInputsOf<Real>& in, Real* scores) {
  for_each_head(x, [&](const Head& head) {
    for (std::int64_t t = 0; t < head.queries(); ++t)
      for (std::int64_t j = 0; j < head.keys(); ++j)
        *scores++ = static_cast<Real>(head.sees(t, j) ? score(head, in, t, j) : -infinity);
  });
}

template <class Real>
void additive_scores_backward(const AdditiveExtents& x, const AdditiveInputsOf<Real>& in,
                              const Real* d_scores, const AdditiveGradientsOf<Real>& to) {
  Sums<Real> sums(x, in);
  for_each_head(x, [&](const Head& head) {
    sums.begin(head);
    for (std::int64_t t = 0; t < head.queries(); ++t)
      for (std::int64_t j = 0; j < head.keys(); ++j, ++d_scores)
        if (head.sees(t, j)) sums.add(head, t, j, double{*d_scores});
    sums.end(head, to);
  });
  sums.finish(to);
}

#define FOVEA_INSTANTIATE(Real)                                                                              \
  template void additive_attention_forward(const AdditiveExtents&, const AdditiveInputsOf<Real>&, Real*,     \
                                           Real*, std::int64_t);                                             \
  template void additive_attention_weights(const AdditiveExtents&, const AdditiveInputsOf<Real>&,            \
                                           const Real*, std::int64_t, Real*);                                \
  template void additive_attention_backward(const AdditiveExtents&, const AdditiveInputsOf<Real>&,           \
                                            const Real*, const Real*, std::int64_t, const Real*,             \
                                            const AdditiveGradientsOf<Real>&);                               \
  template void additive_scores_forward(const AdditiveExtents&, const AdditiveInputsOf<Real>&, Real*);       \
  template void additive_scores_backward(const AdditiveExtents&, const AdditiveInputsOf<Real>&, const Real*, \
                                         const AdditiveGradientsOf<Real>&);
FOVEA_INSTANTIATE(float)
FOVEA_INSTANTIATE(double)
#undef FOVEA_INSTANTIATE

}  // namespace fovea::kernels::reference
