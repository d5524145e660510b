#include "fovea/kernels/additive_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/kernels/reference/additive_attention.h"
#include "tests/kernels/finite_difference.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using test::normals;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr std::int64_t unbounded = Visibility::unbounded;

struct Shape {
  std::vector<std::int64_t> queries, keys;
  std::int64_t heads = 1, width = 8, value_width = 8;
  std::int64_t left = unbounded, right = unbounded;
  bool to_end = true;
  std::vector<std::int64_t> prefix = {};
  float dropout = 0.0f;
  float size = 1.0f;   // of queries and keys
  int huge_every = 0;  // rows of queries and keys that are 40 times as large
  bool indexed = false;

  std::string text() const {
    std::string s = "H " + std::to_string(heads) + " D " + std::to_string(width) + " E " +
                    std::to_string(value_width) + " window " + std::to_string(left) + "," +
                    std::to_string(right) + " p " + std::to_string(dropout) + " size " +
                    std::to_string(size) + " huge " + std::to_string(huge_every) +
                    (indexed ? " indexed" : "") + " T,S";
    for (std::size_t b = 0; b < queries.size(); ++b)
      s += " " + std::to_string(queries[b]) + "," + std::to_string(keys[b]);
    return s;
  }
};

// A call with its operands: rows are wider than the heads, sequences lie apart, and what lies between is NaN.
template <class Real>
struct ProblemOf {
  Shape shape;
  std::vector<std::int64_t> q_start, k_start;
  std::vector<std::int32_t> key_rows;
  std::int64_t q_rows = 1, k_rows = 1;
  std::vector<Real> q, k, v, value, d_out, d_scores;
  AdditiveExtents x;

  explicit ProblemOf(const Shape& wanted, std::uint64_t seed = 1) : shape(wanted) {
    for (std::size_t b = 0; b < shape.queries.size(); ++b) {
      q_start.push_back(q_rows);
      k_start.push_back(k_rows);
      q_rows += shape.queries[b] + 1;
      k_rows += shape.keys[b] + 1;
    }
    x.sequences = static_cast<std::int64_t>(shape.queries.size());
    x.heads = shape.heads;
    x.width = shape.width;
    x.value_width = shape.value_width;
    x.q = {shape.heads * (shape.width + 1) + 2, shape.width + 1};
    x.k = {shape.heads * shape.width + 3, shape.width};
    x.value = {shape.heads * (shape.value_width + 2), shape.value_width + 2};
    x.out = {shape.heads * shape.value_width + 1, shape.value_width};
    x.visible = {shape.left, shape.right, shape.to_end};
    x.dropout = {shape.dropout, RandomKey::of(11, 3, 5)};
    for (std::int64_t i = 0; shape.indexed && i < k_rows; ++i)
      key_rows.push_back(static_cast<std::int32_t>((i * 7 + 3) % k_rows));
    q = operand(q_rows, x.q, shape.width, q_start, shape.queries, seed, shape.size, shape.huge_every);
    k = operand(k_rows, x.k, shape.width, k_start, shape.keys, seed + 1, shape.size, shape.huge_every);
    value = operand(k_rows, x.value, shape.value_width, k_start, shape.keys, seed + 2, 1.0f, 0);
    if (shape.indexed) {
      k = normals<Real>(k_rows * x.k.row, seed + 1, shape.size);
      value = normals<Real>(k_rows * x.value.row, seed + 2);
    }
    v = normals<Real>(shape.heads * shape.width, seed + 3, 1.5 / std::sqrt(double(shape.width)));
    d_out = normals<Real>(q_rows * x.out.row, seed + 4);
    d_scores = normals<Real>(pairs(), seed + 5);
  }

  AdditiveExtents extents() const {
    AdditiveExtents e = x;
    e.q_start = q_start.data();
    e.q_count = shape.queries.data();
    e.k_start = k_start.data();
    e.k_count = shape.keys.data();
    e.key_rows = key_rows.empty() ? nullptr : key_rows.data();
    e.visible.prefix = shape.prefix.empty() ? nullptr : shape.prefix.data();
    return e;
  }
  AdditiveInputsOf<Real> inputs() const { return {q.data(), k.data(), v.data(), value.data()}; }

  std::vector<Real> operand(std::int64_t rows, HeadStrides strides, std::int64_t width,
                            const std::vector<std::int64_t>& starts, const std::vector<std::int64_t>& counts,
                            std::uint64_t seed, float size, int huge_every) const {
    const auto values = normals<Real>(rows * strides.row, seed, size);
    std::vector<Real> data(values.size(), nan);
    for (std::size_t b = 0; b < starts.size(); ++b)
      for (std::int64_t row = starts[b]; row < starts[b] + counts[b]; ++row)
        for (std::int64_t h = 0; h < shape.heads; ++h)
          for (std::int64_t e = 0; e < width; ++e) {
            const std::int64_t at = row * strides.row + h * strides.head + e;
            data[at] = values[at] * (huge_every > 0 && row % huge_every == 0 ? Real{40} : Real{1});
          }
    return data;
  }

  bool sees(std::int64_t b, std::int64_t t, std::int64_t j) const {
    const std::int64_t i = shape.to_end ? t + shape.keys[b] - shape.queries[b] : t;
    return (i - shape.left <= j && j <= i + shape.right) || (!shape.prefix.empty() && j < shape.prefix[b]);
  }
  std::int64_t pairs() const {
    std::int64_t count = 0;
    for (std::size_t b = 0; b < shape.queries.size(); ++b)
      count += shape.heads * shape.queries[b] * shape.keys[b];
    return count;
  }
};
using Problem = ProblemOf<float>;

struct Forward {
  std::vector<float> out, lse, weights, scores;
};

Forward forward(const Problem& p, const Execution& exec) {
  Forward f{std::vector<float>(p.q_rows * p.x.out.row, -7.0f),
            std::vector<float>(p.q_rows * p.shape.heads, -7.0f), std::vector<float>(p.pairs(), -7.0f),
            std::vector<float>(p.pairs(), -7.0f)};
  additive_attention_forward(exec, p.extents(), p.inputs(), f.out.data(), f.lse.data(), p.q_rows);
  additive_attention_weights(exec, p.extents(), p.inputs(), f.lse.data(), p.q_rows, f.weights.data());
  additive_scores_forward(exec, p.extents(), p.inputs(), f.scores.data());
  return f;
}

struct Gradients {
  std::vector<float> q, k, v, value;
  explicit Gradients(const Problem& p)
      : q(p.q.size(), -7.0f), k(p.k.size(), -7.0f), v(p.v.size(), -7.0f), value(p.value.size(), -7.0f) {}
  AdditiveGradients to() { return {q.data(), k.data(), v.data(), value.data()}; }
};

Gradients backward(const Problem& p, const Forward& f, const Execution& exec) {
  Gradients g(p);
  additive_attention_backward(exec, p.extents(), p.inputs(), f.out.data(), f.lse.data(), p.q_rows,
                              p.d_out.data(), g.to());
  return g;
}

Gradients scores_backward(const Problem& p, const Execution& exec) {
  Gradients g(p);
  additive_scores_backward(exec, p.extents(), p.inputs(), p.d_scores.data(), g.to());
  return g;
}

std::vector<float> scores_backward_to_queries(const Problem& p, const Execution& exec) {
  std::vector<float> d_q(p.q.size(), -7.0f);
  additive_scores_backward_to_queries(exec, p.extents(), p.inputs(), p.d_scores.data(), d_q.data());
  return d_q;
}

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

template <class Values>
bool same_bits(const Values& a, const Values& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
}
bool same_bits(const Forward& a, const Forward& b) {
  return same_bits(a.out, b.out) && same_bits(a.lse, b.lse) && same_bits(a.weights, b.weights) &&
         same_bits(a.scores, b.scores);
}
bool same_bits(const Gradients& a, const Gradients& b) {
  return same_bits(a.q, b.q) && same_bits(a.k, b.k) && same_bits(a.v, b.v) && same_bits(a.value, b.value);
}

class AdditiveKernels : public testing::TestWithParam<KernelSet> {
 protected:
  ExecutionOwner fast_{2, GetParam()};
};

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

std::vector<KernelSet> vector_kernels() {
  std::vector<KernelSet> sets = available_kernels();
  sets.erase(sets.begin());
  return sets;
}

const auto set_name = [](const auto& info) { return std::string(name_of(info.param)); };
INSTANTIATE_TEST_SUITE_P(All, AdditiveKernels, testing::ValuesIn(available_kernels()), set_name);
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

// Prepared keys are what would be made of them anyway.
TEST_P(AdditiveKernels, PreparedKeysGiveTheSameBits) {
  for (const bool indexed : {false, true})
    for (const int huge : {0, 3}) {
      Problem p({.queries = {1, 17, 3},
                 .keys = {20, 140, 0},
                 .heads = 2,
                 .width = 40,
                 .value_width = 24,
                 .huge_every = huge,
                 .indexed = indexed});
      std::vector<float> prepared(p.k_rows * additive_prepared_row(2, 40), -7.0f);
      additive_prepare(fast_.get(), p.k_rows, 2, 40, p.x.k, p.k.data(), prepared.data());
      const Forward plain = forward(p, fast_.get());
      Forward with = plain;
      AdditiveInputs in = p.inputs();
      in.prepared = prepared.data();
      std::fill(with.out.begin(), with.out.end(), -7.0f);
      additive_attention_forward(fast_.get(), p.extents(), in, with.out.data(), with.lse.data(), p.q_rows);
      additive_scores_forward(fast_.get(), p.extents(), in, with.scores.data());
      EXPECT_TRUE(same_bits(plain, with));
      if (!indexed) {
        Gradients g(p);
        additive_attention_backward(fast_.get(), p.extents(), in, plain.out.data(), plain.lse.data(),
                                    p.q_rows, p.d_out.data(), g.to());
        EXPECT_TRUE(same_bits(g, backward(p, plain, fast_.get())));
      }
      if (GetParam() == KernelSet::reference || huge) continue;
      // They are read: half the factors change the answer.
      for (float& x : prepared) x *= 0.5f;
      additive_attention_forward(fast_.get(), p.extents(), in, with.out.data(), with.lse.data(), p.q_rows);
      EXPECT_FALSE(same_bits(plain.out, with.out));
    }
}

TEST_P(AdditiveKernels, EveryParameterChangesTheAnswer) {
  const Shape shape{.queries = {9, 4}, .keys = {7, 6}, .heads = 2, .width = 12, .value_width = 10};
  const Problem p(shape);
  const Forward f = forward(p, fast_.get());
  const Gradients g = backward(p, f, fast_.get());
  const auto expect_change = [&](const Shape& other, const char* what) {
    Problem changed = p;
    changed.shape = other;
    changed.x.visible = {other.left, other.right, other.to_end};
    changed.x.dropout.p = other.dropout;
    const Forward f2 = forward(changed, fast_.get());
    EXPECT_FALSE(same_bits(f.out, f2.out)) << what;
    const Gradients g2 = backward(changed, f2, fast_.get());
    EXPECT_FALSE(same_bits(g.q, g2.q) || same_bits(g.k, g2.k) || same_bits(g.v, g2.v)) << what;
    EXPECT_FALSE(same_bits(g.value, g2.value)) << what;
  };
  Shape other = shape;
  other.left = 1;
  expect_change(other, "left");
  other = shape;
  other.right = 1;
  expect_change(other, "right");
  other = shape;
  other.right = 0;
  other.prefix = {5, 5};
  expect_change(other, "prefix");
  Shape to_end = shape, to_start = shape;
  to_end.right = to_start.right = 0;
  to_start.to_end = false;
  EXPECT_FALSE(
      same_bits(forward(Problem(to_end), fast_.get()).out, forward(Problem(to_start), fast_.get()).out));
  other = shape;
  other.dropout = 0.25f;
  expect_change(other, "dropout");
  for (auto member : {&Problem::q, &Problem::k, &Problem::v, &Problem::value}) {
    Problem changed = p;
    for (float& x : changed.*member) x *= 1.25f;
    const Forward f2 = forward(changed, fast_.get());
    EXPECT_FALSE(same_bits(f.out, f2.out));
    EXPECT_EQ(member == &Problem::value, same_bits(f.scores, f2.scores));
  }
  Problem changed = p;
  changed.x.dropout = {0.25f, RandomKey::of(1, 2, 3)};
  Problem again = changed;
  again.x.dropout.key = RandomKey::of(1, 2, 4);
  EXPECT_FALSE(same_bits(forward(changed, fast_.get()).out, forward(again, fast_.get()).out));
}

TEST_P(AdditiveKernels, RowsThatSeeNothingAreZero) {
  const Problem p({.queries = {20, 7, 0}, .keys = {3, 0, 5}, .width = 16, .value_width = 19, .right = 0});
  const Forward f = forward(p, fast_.get());
  const Gradients g = backward(p, f, fast_.get());
  for (std::int64_t row = 0; row < p.q_rows; ++row) {
    const bool blind =
        (row >= p.q_start[0] && row < p.q_start[0] + 17) || (row >= p.q_start[1] && row < p.q_start[1] + 7);
    if (!blind) continue;
    EXPECT_EQ(f.lse[row], -infinity);
    for (std::int64_t e = 0; e < 19; ++e) EXPECT_EQ(f.out[row * p.x.out.row + e], 0.0f);
    for (std::int64_t d = 0; d < 16; ++d) EXPECT_EQ(g.q[row * p.x.q.row + d], 0.0f);
  }
  for (std::int64_t j = 0; j < 5; ++j)  // keys that nobody looks at
    for (std::int64_t d = 0; d < 16; ++d) {
      EXPECT_EQ(g.k[(p.k_start[2] + j) * p.x.k.row + d], 0.0f);
      EXPECT_EQ(g.value[(p.k_start[2] + j) * p.x.value.row + d], 0.0f);
    }
}

TEST_P(AdditiveKernels, NoSequences) {
  Problem p({.queries = {}, .keys = {}, .heads = 2, .width = 5});
  const Forward f = forward(p, fast_.get());
  EXPECT_EQ(backward(p, f, fast_.get()).v, std::vector<float>(10, 0.0f));
  EXPECT_EQ(scores_backward(p, fast_.get()).v, std::vector<float>(10, 0.0f));
}

// The last key is NaN in k or value: only the last query may notice.
TEST_P(AdditiveKernels, WhatIsMaskedDoesNotLeak) {
  for (const std::int64_t n : {4, 15, 20, 33, 90, 150}) {
    SCOPED_TRACE(n);
    const Problem clean({.queries = {n}, .keys = {n}, .width = 16, .value_width = 32, .right = 0});
    for (const float poison : {nan, infinity, 1e30f}) {
      Problem dirty = clean;
      const std::int64_t last = clean.k_start[0] + n - 1;
      std::fill_n(&dirty.k[last * clean.x.k.row], 16, poison);
      std::fill_n(&dirty.value[last * clean.x.value.row], 32, poison);
      const Forward a = forward(clean, fast_.get()), b = forward(dirty, fast_.get());
      const Gradients ga = backward(clean, a, fast_.get()), gb = backward(dirty, a, fast_.get());
      const std::int64_t rows = clean.q_start[0] + n - 1;  // all but the last
      EXPECT_EQ(std::memcmp(a.out.data(), b.out.data(), rows * clean.x.out.row * sizeof(float)), 0);
      EXPECT_EQ(std::memcmp(a.lse.data(), b.lse.data(), rows * sizeof(float)), 0);
      EXPECT_EQ(std::memcmp(ga.q.data(), gb.q.data(), rows * clean.x.q.row * sizeof(float)), 0);
      EXPECT_EQ(std::memcmp(a.weights.data(), b.weights.data(), (n - 1) * n * sizeof(float)), 0);
      EXPECT_EQ(std::isfinite(b.lse[rows]), poison != poison ? false : true);
    }
  }
}

// A poisoned first query must not reach keys that it does not see.
TEST_P(AdditiveKernels, QueriesDoNotLeakIntoKeysTheyDoNotSee) {
  const std::int64_t n = 37;
  const Problem clean({.queries = {n}, .keys = {n}, .width = 16, .value_width = 16, .right = 0});
  const Forward f = forward(clean, fast_.get());
  Problem dirty = clean;
  std::fill_n(&dirty.q[clean.q_start[0] * clean.x.q.row], 16, nan);
  std::fill_n(&dirty.d_out[clean.q_start[0] * clean.x.out.row], 16, nan);
  const Gradients a = backward(clean, f, fast_.get()), b = backward(dirty, f, fast_.get());
  for (std::int64_t j = 1; j < n; ++j)
    for (std::int64_t e = 0; e < 16; ++e) {
      const std::int64_t row = clean.k_start[0] + j;
      EXPECT_EQ(a.k[row * clean.x.k.row + e], b.k[row * clean.x.k.row + e]) << j;
      EXPECT_EQ(a.value[row * clean.x.value.row + e], b.value[row * clean.x.value.row + e]) << j;
    }
}

// Infinity saturates, infinity minus infinity and NaN are NaN, as in the formula.
TEST_P(AdditiveKernels, InfinityAndNaNAreWhatTheFormulaSays) {
  const float k_rows[] = {infinity, -infinity, nan, 0.5f, 3e38f};
  const float q_rows[] = {infinity, nan, 0.25f, -3e38f};
  const std::int64_t starts[] = {0}, four[] = {4}, five[] = {5};
  const float v[] = {2.0f};
  AdditiveExtents x;
  x.sequences = 1;
  x.width = x.value_width = 1;
  x.q = x.k = {1, 1};
  x.q_start = x.k_start = starts;
  x.q_count = four;
  x.k_count = five;
  float scores[20];
  additive_scores_forward(fast_.get(), x, {q_rows, k_rows, v}, scores);
  for (int t = 0; t < 4; ++t)
    for (int j = 0; j < 5; ++j) {
      const double want = 2.0 * std::tanh(double(q_rows[t]) + double(k_rows[j])), got = scores[t * 5 + j];
      if (std::isnan(want))
        EXPECT_TRUE(std::isnan(got)) << t << " " << j;
      else
        EXPECT_NEAR(got, want, 2e-6) << t << " " << j;
    }
}

TEST_P(AdditiveKernels, HugeScoreVectors) {
  Problem p({.queries = {6}, .keys = {11}, .width = 20, .value_width = 8, .size = 5.0f});
  for (float& x : p.v) x *= 1e25f;
  const ExecutionOwner reference(1, KernelSet::reference);
  const Forward want = forward(p, reference.get()), got = forward(p, fast_.get());
  for (std::size_t i = 0; i < want.scores.size(); ++i)
    EXPECT_NEAR(got.scores[i], want.scores[i], 5e19f + std::abs(want.scores[i]) * 1e-6f);
  EXPECT_TRUE(std::isfinite(got.lse[p.q_start[0]]));
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

// Rows of a sequence on its own have the bits that they have in a batch. (Without dropout: its elements count
// sequences.)
TEST_P(AdditiveKernels, SameBitsAloneAndInABatch) {
  const Problem p({.queries = {15, 40, 1, 100, 20},
                   .keys = {15, 21, 300, 100, 7},
                   .heads = 2,
                   .width = 24,
                   .value_width = 32,
                   .right = 3,
                   .huge_every = 13});
  const Forward whole = forward(p, fast_.get());
  const Gradients whole_g = backward(p, whole, fast_.get());
  for (std::size_t b = 0; b < p.shape.queries.size(); ++b) {
    Problem alone = p;
    alone.x.sequences = 1;
    alone.shape.queries = {p.shape.queries[b]};
    alone.shape.keys = {p.shape.keys[b]};
    alone.q_start = {p.q_start[b]};
    alone.k_start = {p.k_start[b]};
    const Forward f = forward(alone, fast_.get());
    const Gradients g = backward(alone, f, fast_.get());
    const auto rows_agree = [](const auto& one, const auto& all, std::int64_t first, std::int64_t rows,
                               std::int64_t row) {
      return std::memcmp(&one[first * row], &all[first * row], rows * row * sizeof(float)) == 0;
    };
    EXPECT_TRUE(rows_agree(f.out, whole.out, p.q_start[b], p.shape.queries[b], p.x.out.row)) << b;
    EXPECT_TRUE(rows_agree(g.q, whole_g.q, p.q_start[b], p.shape.queries[b], p.x.q.row)) << b;
    EXPECT_TRUE(rows_agree(g.k, whole_g.k, p.k_start[b], p.shape.keys[b], p.x.k.row)) << b;
    EXPECT_TRUE(rows_agree(g.value, whole_g.value, p.k_start[b], p.shape.keys[b], p.x.value.row)) << b;
  }
}

TEST_P(AdditiveKernels, TheSameAnswer250Times) {
  const Problem p({.queries = {33, 9}, .keys = {40, 17}, .width = 40, .value_width = 24, .dropout = 0.17f});
  const Forward f = forward(p, fast_.get());
  const Gradients g = backward(p, f, fast_.get());
  for (int i = 0; i < (GetParam() == KernelSet::reference ? 5 : 250); ++i) {
    ASSERT_TRUE(same_bits(f, forward(p, fast_.get()))) << i;
    ASSERT_TRUE(same_bits(g, backward(p, f, fast_.get()))) << i;
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

// Finite differences of the reference, in double.
class AdditiveGradients : public testing::Test {
 protected:
  using Vector = std::vector<double>;
  ProblemOf<double> p_{{.queries = {4, 0, 3},
                        .keys = {5, 2, 6},
                        .heads = 2,
                        .width = 3,
                        .value_width = 4,
                        .left = 2,
                        .right = 1,
                        .dropout = 0.3f}};
  Vector out_ = Vector(p_.q_rows * p_.x.out.row), lse_ = Vector(p_.q_rows * 2), scores_ = Vector(p_.pairs());
  Vector d_q_ = Vector(p_.q.size(), 0.0), d_k_ = Vector(p_.k.size(), 0.0), d_v_ = Vector(p_.v.size(), 0.0),
         d_value_ = Vector(p_.value.size(), 0.0);

  void SetUp() override {  // nothing between the sequences: differences move every element
    for (auto* x : {&p_.q, &p_.k, &p_.value})
      for (double& e : *x)
        if (std::isnan(e)) e = 0.0;
  }
  AdditiveGradientsOf<double> to() { return {d_q_.data(), d_k_.data(), d_v_.data(), d_value_.data()}; }
};

TEST_F(AdditiveGradients, H01_Attention) {
  const auto loss = [&] {
    std::fill(out_.begin(), out_.end(), 0.0);
    reference::additive_attention_forward(p_.extents(), p_.inputs(), out_.data(), lse_.data(), p_.q_rows);
    return std::inner_product(out_.begin(), out_.end(), p_.d_out.begin(), 0.0);
  };
  loss();
  const Vector out = out_, lse = lse_;
  reference::additive_attention_backward(p_.extents(), p_.inputs(), out.data(), lse.data(), p_.q_rows,
                                         p_.d_out.data(), to());
  test::expect_gradient("q", p_.q, d_q_, loss);
  test::expect_gradient("k", p_.k, d_k_, loss);
  test::expect_gradient("v", p_.v, d_v_, loss);
  test::expect_gradient("value", p_.value, d_value_, loss);
}

TEST_F(AdditiveGradients, H01_Scores) {
  const auto loss = [&] {
    reference::additive_scores_forward(p_.extents(), p_.inputs(), scores_.data());
    double sum = 0.0;
    for (std::size_t i = 0; i < scores_.size(); ++i)
      if (std::isfinite(scores_[i])) sum += scores_[i] * p_.d_scores[i];
    return sum;
  };
  reference::additive_scores_backward(p_.extents(), p_.inputs(), p_.d_scores.data(), to());
  test::expect_gradient("q", p_.q, d_q_, loss);
  test::expect_gradient("k", p_.k, d_k_, loss);
  test::expect_gradient("v", p_.v, d_v_, loss);
}

}  // namespace
}  // namespace fovea::kernels
