// Every kernel set against the reference, calls small enough to be checked by hand, and the reference's
// gradients against differences.
#include "fovea/kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fovea/base/error.h"
#include "fovea/kernels/reference/attention.h"
#include "tests/kernels/attention_problem.h"

namespace fovea::kernels::test::attention {
namespace {

constexpr double unit_roundoff = 0x1p-24;

// How far rounding may take each result, by running error bounds of the same sums over absolute values. Sums
// of n terms are allowed a random walk: 2 (sqrt(n) + 4) units, not the n units of the worst case.
struct Bounds {
  Forward f;
  Gradients g;

  static double walk(std::int64_t n) { return 2 * (std::sqrt(static_cast<double>(n)) + 4) * unit_roundoff; }

  Bounds(const Problem& p, const Forward& truth) {
    f = {std::vector<float>(truth.out.size(), 0.0f), std::vector<float>(truth.lse.size(), 0.0f),
         std::vector<float>(truth.weights.size(), 0.0f)};
    g = {std::vector<float>(p.q.size(), 0.0f), std::vector<float>(p.k.size(), 0.0f),
         std::vector<float>(p.v.size(), 0.0f)};
    std::int64_t w = 0;
    for (std::int64_t b = 0; b < p.x.sequences; ++b)
      for (std::int64_t h = 0; h < p.x.heads; ++h)
        for (std::int64_t t = 0; t < p.shape.queries[b]; ++t, w += p.shape.keys[b]) row(p, truth, b, h, t, w);
  }

  void row(const Problem& p, const Forward& truth, std::int64_t b, std::int64_t h, std::int64_t t,
           std::int64_t w) {
    const AttentionExtents& x = p.x;
    const std::int64_t S = p.shape.keys[b], T = p.shape.queries[b], kv = h / (x.heads / x.kv_heads);
    const std::int64_t q_row = p.q_start[b] + t,
                       n = x.visible.right == 0 ? std::clamp<std::int64_t>(t + 1 + S - T, 0, S) : S;
    const float* q = &p.q[q_row * x.q.row + h * x.q.head];
    const std::int64_t o = q_row * x.out.row + h * x.out.head;
    const double lse = truth.lse[h * p.q_rows + q_row], kept = x.dropout.active() ? x.dropout.scale() : 1.0;
    const auto key_row = [&](std::int64_t j) {
      return p.key_rows.empty() ? p.k_start[b] + j : std::int64_t{p.key_rows[p.k_start[b] + j]};
    };
    double score = 0.0;  // error of a score, and of log sum exp
    for (std::int64_t j = 0; j < n; ++j) {
      const float* k = &p.k[key_row(j) * x.k.row + kv * x.k.head];
      double sum = 0.0;
      for (std::int64_t e = 0; e < x.key_width; ++e) sum += std::abs(double{q[e]} * k[e]);
      score = std::max(score, x.scale * sum * walk(x.key_width));
    }
    const double weight = std::expm1(2 * score + (n > 0 ? std::abs(lse) * 4 * unit_roundoff : 0.0)) + walk(S);
    f.lse[h * p.q_rows + q_row] =
        static_cast<float>(score + walk(S) + (n > 0 ? std::abs(lse) * 4 * unit_roundoff : 0));
    double delta = 0.0;
    for (std::int64_t e = 0; e < x.value_width; ++e)
      delta += std::abs(double{p.d_out[o + e]} * truth.out[o + e]);
    for (std::int64_t j = 0; j < n; ++j) {
      const std::int64_t k = key_row(j) * x.k.row + kv * x.k.head, v = key_row(j) * x.v.row + kv * x.v.head;
      const double p_tj = truth.weights[w + j];
      f.weights[w + j] = static_cast<float>(p_tj * weight + 1e-12);
      double dp = 0.0;
      for (std::int64_t e = 0; e < x.value_width; ++e) {
        f.out[o + e] += static_cast<float>(kept * p_tj * std::abs(p.v[v + e]) * weight + 1e-12);
        g.v[v + e] += static_cast<float>(kept * p_tj * std::abs(p.d_out[o + e]) * (weight + walk(T)) + 1e-12);
        dp += std::abs(double{p.d_out[o + e]} * p.v[v + e]);
      }
      const double ds =
          x.scale * p_tj * (kept * dp + delta) * (weight + walk(x.value_width) + walk(T + S)) + 1e-12;
      for (std::int64_t e = 0; e < x.key_width; ++e) {
        g.q[q_row * x.q.row + h * x.q.head + e] += static_cast<float>(ds * std::abs(p.k[k + e]));
        g.k[k + e] += static_cast<float>(ds * std::abs(q[e]));
      }
    }
  }
};

// Worst ratio of error to bound; what nobody owns must be untouched, infinities must agree.
void expect_near(const std::vector<float>& got, const std::vector<float>& want,
                 const std::vector<float>& bound, const char* what) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == want[i]) continue;
    ASSERT_LE(std::abs(got[i] - want[i]), bound[i] + std::abs(want[i]) * 2e-7f)
        << what << "[" << i << "]: " << got[i] << " for " << want[i];
  }
}

void check(const Shape& shape, const ExecutionOwner& reference, const ExecutionOwner& fast) {
  SCOPED_TRACE(std::string(name_of(fast.get().kernels)) + ": " + shape.text());
  const Problem p(shape);
  const Forward want = forward(p, reference.get()), got = forward(p, fast.get());
  const Bounds bounds(p, want);
  expect_near(got.out, want.out, bounds.f.out, "out");
  expect_near(got.lse, want.lse, bounds.f.lse, "log_sum_exp");
  expect_near(got.weights, want.weights, bounds.f.weights, "weights");
  if (shape.indexed) return;
  const Gradients want_g = backward(p, want, reference.get()), got_g = backward(p, want, fast.get());
  expect_near(got_g.q, want_g.q, bounds.g.q, "d_q");
  expect_near(got_g.k, want_g.k, bounds.g.k, "d_k");
  expect_near(got_g.v, want_g.v, bounds.g.v, "d_v");
}

class AttentionAgainstReference : public AttentionKernels {
 protected:
  void check(const Shape& shape) const { attention::check(shape, reference_, fast_); }
  void check_random(int rounds, std::uint64_t seed) const;
  ExecutionOwner reference_{1, KernelSet::reference};
};

INSTANTIATE_TEST_SUITE_P(All, AttentionAgainstReference, testing::ValuesIn(vector_kernels()), set_name);

TEST_P(AttentionAgainstReference, EveryLengthUpTo40) {
  for (std::int64_t n = 0; n <= 40; ++n)
    for (const bool causal : {false, true})
      check({.queries = {n},
             .keys = {n},
             .key_width = 16,
             .value_width = 16,
             .causal = causal,
             .dropout = n % 3 == 0 ? 0.1f : 0.0f});
}

TEST_P(AttentionAgainstReference, EveryWidthUpTo70) {
  for (std::int64_t width = 1; width <= 70; ++width)
    check({.queries = {5, 18},
           .keys = {5, 9},
           .heads = 2,
           .kv_heads = 2,
           .key_width = width,
           .value_width = 71 - width,
           .causal = width % 2 == 0});
}

void AttentionAgainstReference::check_random(int rounds, std::uint64_t seed) const {
  const RandomKey key = RandomKey::of(seed, 0, 0);
  std::uint64_t draws = 0;
  const auto draw = [&](std::uint32_t bound) {
    return static_cast<std::int64_t>(below(key, draws++, bound));
  };
  for (int round = 0; round < rounds; ++round) {
    Shape s;
    const std::uint32_t longest = draw(4) == 0 ? 201 : 40;
    for (std::int64_t b = 0, count = draw(5); b <= count; ++b) {
      s.queries.push_back(draw(8) == 0 ? 0 : draw(longest));
      s.keys.push_back(draw(8) == 0 ? 0 : draw(2) ? s.queries.back() : draw(longest));
    }
    s.kv_heads = 1 + draw(2);
    s.heads = s.kv_heads * (1 + draw(3));
    s.key_width = draw(8) == 0 ? 1 + draw(256) : 1 + draw(64);
    s.value_width = draw(2) ? s.key_width : 1 + draw(draw(8) == 0 ? 256 : 64);
    s.causal = draw(2);
    s.dropout = draw(3) == 0 ? 0.3f : 0.0f;
    s.indexed = draw(6) == 0;
    check(s);
    if (HasFatalFailure()) return;
  }
}

TEST_P(AttentionAgainstReference, RandomShapes) { check_random(25, 99); }
TEST_P(AttentionAgainstReference, SlowRandomShapes) { check_random(400, 100); }

TEST_P(AttentionAgainstReference, LongSequences) {
  check({.queries = {150}, .keys = {700}, .key_width = 16, .value_width = 24, .dropout = 0.1f});
  check(
      {.queries = {300}, .keys = {200}, .key_width = 32, .value_width = 32, .causal = true, .dropout = 0.2f});
  check({.queries = {200}, .keys = {333}, .heads = 2, .key_width = 64, .value_width = 64, .causal = true});
}

TEST_P(AttentionAgainstReference, HugeScores) {
  for (const float size : {1e2f, 1e4f})
    for (const std::int64_t n : {1, 3, 15, 40, 150})
      check({.queries = {n},
             .keys = {n},
             .key_width = 32,
             .value_width = 16,
             .causal = n % 2 == 0,
             .size = size});
}

TEST_P(AttentionAgainstReference, DecodingByIndex) {
  check({.queries = {1, 1, 1, 1},
         .keys = {300, 1, 17, 0},
         .heads = 4,
         .kv_heads = 2,
         .key_width = 64,
         .value_width = 64,
         .indexed = true});
  check({.queries = {1, 4, 1},
         .keys = {130, 20, 16},
         .heads = 2,
         .kv_heads = 2,
         .key_width = 40,
         .value_width = 72,
         .causal = true,
         .indexed = true});
}

TEST(Attention, NamesABadCall) {
  const ExecutionOwner exec(1);
  Problem p({.queries = {2}, .keys = {2}});
  Problem q = p;
  q.x.heads = 3;
  q.x.kv_heads = 2;
  EXPECT_THROW(forward(q, exec.get()), Error);
  q = p;
  q.x.dropout.p = 1.0f;
  EXPECT_THROW(forward(q, exec.get()), Error);
  q = p;
  q.key_rows = {0, 1, 2, 3};
  EXPECT_THROW(backward(q, forward(p, exec.get()), exec.get()), Error);
}

// Uniform weights by hand: equal scores, causal, aligned to the end.
TEST(Attention, AveragesWhatItSees) {
  for (const KernelSet set : available_kernels()) {
    const ExecutionOwner exec(1, set);
    Problem p({.queries = {2}, .keys = {3}, .key_width = 1, .value_width = 1, .causal = true});
    std::fill(p.q.begin(), p.q.end(), 0.0f);
    for (int j = 0; j < 3; ++j) p.v[(p.k_start[0] + j) * p.x.v.row] = static_cast<float>(1 << j);
    const Forward f = forward(p, exec.get());
    EXPECT_NEAR(f.out[p.q_start[0] * p.x.out.row], 1.5f, 1e-6f);
    EXPECT_NEAR(f.out[(p.q_start[0] + 1) * p.x.out.row], 7.0f / 3.0f, 1e-6f);
    EXPECT_NEAR(f.lse[p.q_start[0] + 1], std::log(3.0f), 1e-6f);
    EXPECT_EQ(f.weights[2], 0.0f);
  }
}

// The reference's gradients against central differences of its forward, all in double.
TEST(AttentionReference, GradientsAreThoseOfForward) {
  for (const bool causal : {false, true}) {
    const Problem p({.queries = {3, 4},
                     .keys = {5, 2},
                     .heads = 4,
                     .kv_heads = 2,
                     .key_width = 3,
                     .value_width = 2,
                     .causal = causal,
                     .dropout = 0.25f});
    const AttentionExtents x = p.extents();
    std::vector<double> q(p.q.begin(), p.q.end()), k(p.k.begin(), p.k.end()), v(p.v.begin(), p.v.end());
    const std::vector<double> d_out(p.d_out.begin(), p.d_out.end());
    std::vector<double> out(d_out.size()), lse(p.q_rows * 4), dq(q.size()), dk(k.size()), dv(v.size());
    const auto loss = [&] {
      std::fill(out.begin(), out.end(), 0.0);
      reference::attention_forward<double>(x, {q.data(), k.data(), v.data()}, out.data(), lse.data(),
                                           p.q_rows);
      double sum = 0.0;
      for (std::size_t i = 0; i < out.size(); ++i) sum += out[i] * d_out[i];
      return sum;
    };
    loss();
    reference::attention_backward<double>(x, {q.data(), k.data(), v.data()}, out.data(), lse.data(), p.q_rows,
                                          d_out.data(), {dq.data(), dk.data(), dv.data()});
    const auto differentiate = [&](std::vector<double>& operand, const std::vector<double>& gradient,
                                   const char* name) {
      for (std::size_t i = 0; i < operand.size(); ++i) {
        if (std::isnan(operand[i])) continue;  // nobody's
        const double at = operand[i], h = 1e-5;
        operand[i] = at + h;
        const double above = loss();
        operand[i] = at - h;
        const double below = loss();
        operand[i] = at;
        EXPECT_NEAR(gradient[i], (above - below) / (2 * h), 1e-8) << name << " " << i;
      }
    };
    differentiate(q, dq, "q");
    differentiate(k, dk, "k");
    differentiate(v, dv, "v");
  }
}

}  // namespace
}  // namespace fovea::kernels::test::attention
