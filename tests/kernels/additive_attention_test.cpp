// Every kernel set against the reference, and calls small enough to be checked by hand.
#include "fovea/kernels/additive_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "fovea/base/error.h"
#include "tests/kernels/additive_problem.h"

namespace fovea::kernels::test::additive {
namespace {

// How far rounding may take results. A tanh is good to 5e-7, which is what a score loses, times |v|; sums of
// n terms are allowed a random walk of 2 (sqrt(n) + 4) units.
struct Bounds {
  double score, out, weight, q, k, v, value;

  static double walk(double n) { return 2 * (std::sqrt(n) + 4) * 0x1p-24; }

  Bounds(const Problem& p, const Forward& truth) {
    const double S = double(*std::max_element(p.shape.keys.begin(), p.shape.keys.end()));
    const double kept = p.x.dropout.active() ? p.x.dropout.scale() : 1.0;
    double sum = 0.0, largest = 0.0, value_size = 0.0, d_out_size = 0.0, rows = 0.0;
    for (std::int64_t h = 0; h < p.shape.heads; ++h) {
      double head = 0.0;
      for (std::int64_t d = 0; d < p.shape.width; ++d) {
        head += std::abs(p.v[h * p.shape.width + d]);
        largest = std::max(largest, double(std::abs(p.v[h * p.shape.width + d])));
      }
      sum = std::max(sum, head);
    }
    for (const float x : p.value)
      if (std::isfinite(x)) value_size = std::max(value_size, double(std::abs(x)));
    for (const float x : p.d_out) d_out_size = std::max(d_out_size, double(std::abs(x)));
    for (const std::int64_t n : p.shape.queries) rows += double(n);
    score = sum * 5e-7 + sum * walk(p.shape.width);
    double lse = 0.0;
    for (const float x : truth.lse)
      if (std::isfinite(x)) lse = std::max(lse, double(std::abs(x)));
    weight = 2 * score + walk(S) + lse * 4 * 0x1p-24;
    out = kept * value_size * weight;
    value = kept * d_out_size * column_sum(p, truth) * (weight + walk(rows)) + 1e-7;
    const double E = double(p.shape.value_width), d_score = kept * 2 * d_out_size * value_size * std::sqrt(E);
    const double relative = weight + walk(E) + walk(S) + walk(rows) + 1e-6;
    q = largest * d_score * relative;
    k = largest * d_score * relative * std::max(1.0, column_sum(p, truth));
    v = d_score * relative * std::sqrt(rows + 1) * 2;
  }

  // The most that a key gets of all queries' weights.
  static double column_sum(const Problem& p, const Forward& truth) {
    double most = 0.0;
    std::size_t at = 0;
    for (std::size_t b = 0; b < p.shape.queries.size(); ++b)
      for (std::int64_t h = 0; h < p.shape.heads; ++h) {
        std::vector<double> sums(static_cast<std::size_t>(p.shape.keys[b]), 0.0);
        for (std::int64_t t = 0; t < p.shape.queries[b]; ++t)
          for (double& sum : sums) sum += truth.weights[at++];
        for (const double sum : sums) most = std::max(most, sum);
      }
    return most;
  }
};

// What nobody owns must be untouched, infinities must agree.
void expect_near(const std::vector<float>& got, const std::vector<float>& want, double bound,
                 const char* what) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == want[i]) continue;
    ASSERT_LE(std::abs(got[i] - want[i]), bound + std::abs(want[i]) * 5e-7f)
        << what << "[" << i << "]: " << got[i] << " for " << want[i];
  }
}

void expect_near(const Gradients& got, const Gradients& want, const Bounds& bounds, const char* what) {
  SCOPED_TRACE(what);
  expect_near(got.q, want.q, bounds.q, "d_q");
  expect_near(got.k, want.k, bounds.k, "d_k");
  expect_near(got.v, want.v, bounds.v, "d_v");
  expect_near(got.value, want.value, bounds.value, "d_value");
}

class AdditiveAgainstReference : public AdditiveKernels {
 protected:
  void check(const Shape& shape) {
    SCOPED_TRACE(shape.text());
    const Problem p(shape);
    const Forward want = forward(p, reference_.get()), got = forward(p, fast_.get());
    const Bounds bounds(p, want);
    expect_near(got.out, want.out, bounds.out, "out");
    expect_near(got.lse, want.lse, bounds.weight, "log_sum_exp");
    expect_near(got.weights, want.weights, bounds.weight, "weights");
    expect_near(got.scores, want.scores, bounds.score, "scores");
    check_score_gradients(p, bounds);
    if (shape.indexed) return;
    expect_near(backward(p, want, fast_.get()), backward(p, want, reference_.get()), bounds, "attention");
  }
  void check_score_gradients(const Problem& p, const Bounds& bounds) {
    const Shape& shape = p.shape;
    Bounds scores = bounds;  // every d_score is a standard normal: at most 5 here
    const double rows = std::accumulate(shape.queries.begin(), shape.queries.end(), 0.0);
    const double keys = std::accumulate(shape.keys.begin(), shape.keys.end(), 0.0);
    const double v = double(*std::max_element(p.v.begin(), p.v.end(),
                                              [](float a, float b) { return std::abs(a) < std::abs(b); }));
    scores.q = scores.k = 5 * std::abs(v) * (1e-6 + Bounds::walk(rows + keys)) * std::sqrt(rows + keys + 1);
    scores.v = 5 * (1e-6 + Bounds::walk(rows * keys)) * std::sqrt(rows * keys + 1);
    expect_near(scores_backward_to_queries(p, fast_.get()), scores_backward_to_queries(p, reference_.get()),
                scores.q, "d_q alone");
    if (shape.indexed) return;
    expect_near(scores_backward(p, fast_.get()), scores_backward(p, reference_.get()), scores, "scores");
  }
  void check_random(int rounds, std::uint64_t seed) {
    const RandomKey key = RandomKey::of(seed, 0, 0);
    std::uint64_t draws = 0;
    const auto draw = [&](std::uint32_t bound) {
      return static_cast<std::int64_t>(below(key, draws++, bound));
    };
    for (int round = 0; round < rounds && !HasFatalFailure(); ++round) {
      Shape s;
      const std::uint32_t longest = draw(4) == 0 ? 201 : 40;
      for (std::int64_t b = 0, count = draw(5); b <= count; ++b) {
        s.queries.push_back(draw(8) == 0 ? 0 : draw(longest));
        s.keys.push_back(draw(8) == 0 ? 0 : draw(2) ? s.queries.back() : draw(longest));
      }
      s.heads = 1 + draw(2);
      s.width = draw(8) == 0 ? 1 + draw(256) : 1 + draw(64);
      s.value_width = 1 + draw(draw(8) == 0 ? 256 : 64);
      if (draw(3) == 0) s.right = draw(2) ? 0 : draw(20);
      if (draw(3) == 0) s.left = draw(40);
      s.to_end = draw(3) != 0;
      if (s.left == unbounded && draw(4) == 0)
        for (const std::int64_t keys : s.keys) s.prefix.push_back(draw(static_cast<std::uint32_t>(keys) + 2));
      s.dropout = draw(3) == 0 ? 0.3f : 0.0f;
      s.size = draw(4) == 0 ? 10.0f : 1.0f;
      s.huge_every = draw(3) == 0 ? 1 + static_cast<int>(draw(9)) : 0;
      s.indexed = draw(6) == 0;
      check(s);
    }
  }
  ExecutionOwner reference_{1, KernelSet::reference};
};

INSTANTIATE_TEST_SUITE_P(All, AdditiveAgainstReference, testing::ValuesIn(vector_kernels()), set_name);

TEST_P(AdditiveAgainstReference, EveryLengthUpTo40) {
  for (std::int64_t n = 0; n <= 40; ++n)
    for (const std::int64_t right : {unbounded, std::int64_t{0}})
      check({.queries = {n},
             .keys = {n},
             .width = 24,
             .value_width = 16,
             .right = right,
             .dropout = n % 3 == 0 ? 0.1f : 0.0f});
}

TEST_P(AdditiveAgainstReference, EveryWidthUpTo70) {
  for (std::int64_t width = 1; width <= 70; ++width)
    check({.queries = {5, 18},
           .keys = {5, 9},
           .heads = 2,
           .width = width,
           .value_width = 71 - width,
           .right = width % 2 == 0 ? 0 : unbounded});
}

TEST_P(AdditiveAgainstReference, RandomShapes) { check_random(30, 99); }
TEST_P(AdditiveAgainstReference, SlowRandomShapes) { check_random(200, 100); }

TEST_P(AdditiveAgainstReference, LongSequences) {
  check({.queries = {70}, .keys = {700}, .width = 16, .value_width = 24, .dropout = 0.1f});
  check({.queries = {150}, .keys = {100}, .width = 32, .value_width = 32, .right = 0, .dropout = 0.2f});
  check(
      {.queries = {150}, .keys = {333}, .heads = 2, .width = 20, .value_width = 40, .left = 30, .right = 5});
}

// So long that factors of keys are made block by block, and several tiles of queries add up.
TEST_P(AdditiveAgainstReference, MoreKeysThanAreKept) {
  check({.queries = {13, 2}, .keys = {20000, 9}, .width = 4, .value_width = 4, .huge_every = 150});
}

TEST_P(AdditiveAgainstReference, LargeInputs) {
  for (const float size : {8.0f, 30.0f, 1e4f})
    for (const std::int64_t n : {1, 3, 15, 40})
      check({.queries = {n, 2}, .keys = {n, 9}, .width = 33, .value_width = 16, .size = size});
  for (const int every : {2, 3, 5, 11})
    check({.queries = {23}, .keys = {37}, .width = 40, .value_width = 16, .huge_every = every});
}

TEST_P(AdditiveAgainstReference, DecodingByIndex) {
  check({.queries = {1, 1, 1, 1},
         .keys = {300, 1, 17, 0},
         .heads = 2,
         .width = 64,
         .value_width = 64,
         .indexed = true});
  check({.queries = {1, 4, 1},
         .keys = {130, 20, 16},
         .width = 40,
         .value_width = 72,
         .right = 0,
         .indexed = true});
}

TEST_P(AdditiveAgainstReference, SameBitsForAnyNumberOfThreads) {
  const std::vector<Shape> shapes{{.queries = {15, 0, 40, 200, 7, 33, 1, 16},
                                   .keys = {15, 3, 21, 200, 9, 33, 90, 0},
                                   .heads = 2,
                                   .width = 48,
                                   .value_width = 32,
                                   .dropout = 0.1f,
                                   .huge_every = 7},
                                  {.queries = {130}, .keys = {150}, .width = 100, .value_width = 40},
                                  {.queries = {130, 20},
                                   .keys = {150, 160},
                                   .width = 100,
                                   .value_width = 41,
                                   .left = 70,
                                   .right = 0,
                                   .dropout = 0.2f}};
  for (const Shape& shape : shapes) {
    const Problem p(shape);
    const ExecutionOwner one(1, GetParam()), three(3, GetParam());
    const Forward a = forward(p, one.get());
    const Gradients ga = backward(p, a, one.get()), sa = scores_backward(p, one.get());
    for (const Execution* exec : {&fast_.get(), &three.get()}) {
      EXPECT_TRUE(same_bits(a, forward(p, *exec)));
      EXPECT_TRUE(same_bits(ga, backward(p, a, *exec)));
      EXPECT_TRUE(same_bits(sa, scores_backward(p, *exec)));
      EXPECT_TRUE(same_bits(scores_backward_to_queries(p, one.get()), scores_backward_to_queries(p, *exec)));
    }
  }
}

TEST(AdditiveAttention, NamesABadCall) {
  const ExecutionOwner exec(1);
  const Problem p({.queries = {2}, .keys = {2}});
  const auto broken = [&](auto change) {
    Problem q = p;
    change(q);
    return q;
  };
  EXPECT_THROW(forward(broken([](Problem& q) { q.x.dropout.p = 1.0f; }), exec.get()), Error);
  EXPECT_THROW(forward(broken([](Problem& q) { q.x.visible.left = -1; }), exec.get()), Error);
  EXPECT_THROW(forward(broken([](Problem& q) { q.x.visible.right = -1; }), exec.get()), Error);
  EXPECT_THROW(forward(broken([](Problem& q) { q.x.width = 0; }), exec.get()), Error);
  EXPECT_THROW(forward(broken([](Problem& q) { q.x.value_width = 0; }), exec.get()), Error);
  EXPECT_THROW(forward(broken([](Problem& q) { q.x.heads = 0; }), exec.get()), Error);
  const Forward f = forward(p, exec.get());
  const Problem indexed = broken([](Problem& q) { q.key_rows = {0, 1, 2, 1}; });
  EXPECT_THROW(backward(indexed, f, exec.get()), Error);
  EXPECT_THROW(scores_backward(indexed, exec.get()), Error);
}

// By hand: tanh(1 + 0) and tanh(1 - 1), v = 2.
TEST(AdditiveAttention, OneQueryTwoKeys) {
  for (const KernelSet set : available_kernels()) {
    const ExecutionOwner exec(1, set);
    const float q[] = {1.0f}, k[] = {0.0f, -1.0f}, v[] = {2.0f}, value[] = {10.0f, 20.0f};
    const std::int64_t start[] = {0}, one[] = {1}, two[] = {2};
    AdditiveExtents x;
    x.sequences = 1;
    x.width = x.value_width = 1;
    x.q = x.k = x.value = x.out = {1, 1};
    x.q_start = x.k_start = start;
    x.q_count = one;
    x.k_count = two;
    float out[1], lse[1], weights[2];
    additive_attention_forward(exec.get(), x, {q, k, v, value}, out, lse, 1);
    additive_attention_weights(exec.get(), x, {q, k, v, value}, lse, 1, weights);
    const double s = 2.0 * std::tanh(1.0), w = 1.0 / (1.0 + std::exp(-s));
    EXPECT_NEAR(weights[0], w, 1e-6);
    EXPECT_NEAR(weights[1], 1.0 - w, 1e-6);
    EXPECT_NEAR(out[0], 10.0 * w + 20.0 * (1.0 - w), 1e-5);
    EXPECT_NEAR(lse[0], std::log(std::exp(s) + 1.0), 1e-6);
  }
}

}  // namespace
}  // namespace fovea::kernels::test::additive
