#include "fovea/kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/kernels/reference/attention.h"
#include "tests/kernels/same_bits.h"

namespace fovea::kernels {
namespace {

constexpr double unit_roundoff = 0x1p-24;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_floats(std::int64_t count, std::uint32_t site, float size = 1.0f) {
  std::vector<float> values(static_cast<std::size_t>(count));
  const RandomKey key = RandomKey::of(7, 0, site);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = size * normal(key, i);
  return values;
}

struct Shape {
  std::vector<std::int64_t> queries, keys;
  std::int64_t heads = 1, kv_heads = 1, key_width = 8, value_width = 8;
  bool causal = false;
  float dropout = 0.0f;
  float size = 1.0f;  // of queries: scores grow with it
  bool indexed = false;

  std::string text() const {
    std::string s = "H " + std::to_string(heads) + "/" + std::to_string(kv_heads) + " E " +
                    std::to_string(key_width) + "," + std::to_string(value_width) +
                    (causal ? " causal" : "") + " p " + std::to_string(dropout) + " size " +
                    std::to_string(size) + (indexed ? " indexed" : "") + " T,S";
    for (std::size_t b = 0; b < queries.size(); ++b)
      s += " " + std::to_string(queries[b]) + "," + std::to_string(keys[b]);
    return s;
  }
};

// A call with its operands: rows of q, k and v are wider than the heads, sequences lie apart, and what lies
// between is NaN.
struct Problem {
  Shape shape;
  std::vector<std::int64_t> q_start, k_start;
  std::vector<std::int32_t> key_rows;
  std::int64_t q_rows = 1, k_rows = 1;
  std::vector<float> q, k, v, d_out;
  AttentionExtents x;

  explicit Problem(const Shape& wanted, std::uint32_t site = 1) : shape(wanted) {
    for (std::size_t b = 0; b < shape.queries.size(); ++b) {
      q_start.push_back(q_rows);
      k_start.push_back(k_rows);
      q_rows += shape.queries[b] + 1;
      k_rows += shape.keys[b] + 1;
    }
    x.sequences = static_cast<std::int64_t>(shape.queries.size());
    x.heads = shape.heads;
    x.kv_heads = shape.kv_heads;
    x.key_width = shape.key_width;
    x.value_width = shape.value_width;
    x.q = {shape.heads * (shape.key_width + 1) + 2, shape.key_width + 1};
    x.k = {shape.kv_heads * shape.key_width + 3, shape.key_width};
    x.v = {shape.kv_heads * (shape.value_width + 2), shape.value_width + 2};
    x.out = {shape.heads * shape.value_width + 1, shape.value_width};
    if (shape.causal) x.visible = Visibility::causal();
    x.scale = 1.0f / std::sqrt(static_cast<float>(shape.key_width));
    x.dropout = {shape.dropout, RandomKey::of(11, 3, 5)};
    for (std::int64_t i = 0; shape.indexed && i < k_rows; ++i)
      key_rows.push_back(static_cast<std::int32_t>((i * 7 + 3) % k_rows));
    q = operand(q_rows, x.q, shape.heads, shape.key_width, q_start, shape.queries, site, shape.size);
    k = operand(k_rows, x.k, shape.kv_heads, shape.key_width, k_start, shape.keys, site + 1, 1.0f);
    v = operand(k_rows, x.v, shape.kv_heads, shape.value_width, k_start, shape.keys, site + 2, 1.0f);
    if (shape.indexed) {
      k = random_floats(k_rows * x.k.row, site + 1);
      v = random_floats(k_rows * x.v.row, site + 2);
    }
    d_out = random_floats(q_rows * x.out.row, site + 3);
  }

  AttentionExtents extents() const {
    AttentionExtents e = x;
    e.q_start = q_start.data();
    e.q_count = shape.queries.data();
    e.k_start = k_start.data();
    e.k_count = shape.keys.data();
    e.key_rows = key_rows.empty() ? nullptr : key_rows.data();
    return e;
  }

  static std::vector<float> operand(std::int64_t rows, HeadStrides strides, std::int64_t heads,
                                    std::int64_t width, const std::vector<std::int64_t>& starts,
                                    const std::vector<std::int64_t>& counts, std::uint32_t site, float size) {
    const std::vector<float> values = random_floats(rows * strides.row, site, size);
    std::vector<float> data(values.size(), nan);
    for (std::size_t b = 0; b < starts.size(); ++b)
      for (std::int64_t row = starts[b]; row < starts[b] + counts[b]; ++row)
        for (std::int64_t h = 0; h < heads; ++h)
          for (std::int64_t e = 0; e < width; ++e) {
            const std::int64_t at = row * strides.row + h * strides.head + e;
            data[at] = values[at];
          }
    return data;
  }

  std::int64_t weight_count() const {
    std::int64_t count = 0;
    for (std::size_t b = 0; b < shape.queries.size(); ++b)
      count += shape.heads * shape.queries[b] * shape.keys[b];
    return count;
  }
};

struct Forward {
  std::vector<float> out, lse, weights;
};

Forward forward(const Problem& p, const Execution& exec, bool weights = true) {
  Forward f{std::vector<float>(p.q_rows * p.x.out.row, -7.0f),
            std::vector<float>(p.q_rows * p.shape.heads, -7.0f), std::vector<float>(p.weight_count(), -7.0f)};
  const AttentionInputs in{p.q.data(), p.k.data(), p.v.data()};
  attention_forward(exec, p.extents(), in, f.out.data(), f.lse.data(), p.q_rows);
  if (!weights) return f;
  AttentionWeights wanted;
  wanted.all = f.weights.data();
  attention_weights(exec, p.extents(), in, f.lse.data(), p.q_rows, wanted);
  return f;
}

struct Gradients {
  std::vector<float> q, k, v;
};

Gradients backward(const Problem& p, const Forward& f, const Execution& exec) {
  Gradients g{std::vector<float>(p.q.size(), -7.0f), std::vector<float>(p.k.size(), -7.0f),
              std::vector<float>(p.v.size(), -7.0f)};
  attention_backward(exec, p.extents(), {p.q.data(), p.k.data(), p.v.data()}, f.out.data(), f.lse.data(),
                     p.q_rows, p.d_out.data(), {g.q.data(), g.k.data(), g.v.data()});
  return g;
}

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

class AttentionKernels : public testing::TestWithParam<KernelSet> {
 protected:
  ExecutionOwner fast_{2, GetParam()};
};

class AttentionAgainstReference : public AttentionKernels {
 protected:
  void check(const Shape& shape) const { kernels::check(shape, reference_, fast_); }
  void check_random(int rounds, std::uint64_t seed) const;
  ExecutionOwner reference_{1, KernelSet::reference};
};

std::vector<KernelSet> vector_kernels() {
  std::vector<KernelSet> sets = available_kernels();
  sets.erase(sets.begin());
  return sets;
}

INSTANTIATE_TEST_SUITE_P(All, AttentionKernels, testing::ValuesIn(available_kernels()),
                         [](const auto& info) { return std::string(name_of(info.param)); });
INSTANTIATE_TEST_SUITE_P(All, AttentionAgainstReference, testing::ValuesIn(vector_kernels()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

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

TEST_P(AttentionKernels, RowsThatSeeNothingAreZero) {
  const Problem p({.queries = {20, 7}, .keys = {3, 0}, .key_width = 16, .value_width = 16, .causal = true});
  const Forward f = forward(p, fast_.get());
  const Gradients g = backward(p, f, fast_.get());
  for (std::int64_t row = 0; row < p.q_rows; ++row) {
    const bool blind =
        (row >= p.q_start[0] && row < p.q_start[0] + 17) || (row >= p.q_start[1] && row < p.q_start[1] + 7);
    if (!blind) continue;
    EXPECT_EQ(f.lse[row], -infinity);
    for (std::int64_t e = 0; e < 16; ++e) {
      EXPECT_EQ(f.out[row * p.x.out.row + e], 0.0f);
      EXPECT_EQ(g.q[row * p.x.q.row + e], 0.0f);
    }
  }
}

// The last key is NaN in k or v: only the last query may notice, and only where it looks.
TEST_P(AttentionKernels, WhatIsMaskedDoesNotLeak) {
  for (const std::int64_t n : {4, 15, 20, 33, 90}) {
    SCOPED_TRACE(n);
    const Problem clean({.queries = {n}, .keys = {n}, .key_width = 16, .value_width = 32, .causal = true});
    Problem dirty = clean;
    for (const float poison : {nan, infinity}) {
      const std::int64_t last = clean.k_start[0] + n - 1;
      std::fill_n(&dirty.k[last * clean.x.k.row], 16, poison);
      std::fill_n(&dirty.v[last * clean.x.v.row], 32, poison);
      std::fill_n(&dirty.q[clean.q_start[0] * clean.x.q.row], 16, 1e30f);  // a first query no later key sees
      Problem quiet = clean;
      std::fill_n(&quiet.q[clean.q_start[0] * clean.x.q.row], 16, 1e30f);
      const Forward a = forward(quiet, fast_.get()), b = forward(dirty, fast_.get());
      const Gradients ga = backward(quiet, a, fast_.get()), gb = backward(dirty, a, fast_.get());
      const std::int64_t rows = clean.q_start[0] + n - 1;  // all but the last
      EXPECT_EQ(std::memcmp(a.out.data(), b.out.data(), rows * clean.x.out.row * sizeof(float)), 0);
      EXPECT_EQ(std::memcmp(a.lse.data(), b.lse.data(), rows * sizeof(float)), 0);
      EXPECT_EQ(std::memcmp(ga.q.data(), gb.q.data(), rows * clean.x.q.row * sizeof(float)), 0);
      EXPECT_TRUE(std::isnan(b.out[rows * clean.x.out.row]));
    }
  }
}

// A poisoned first query must not reach keys that it does not see.
TEST_P(AttentionKernels, QueriesDoNotLeakIntoKeysTheyDoNotSee) {
  const std::int64_t n = 37;
  const Problem clean({.queries = {n}, .keys = {n}, .key_width = 16, .value_width = 16, .causal = true});
  const Forward f = forward(clean, fast_.get());
  Problem dirty = clean;
  std::fill_n(&dirty.q[clean.q_start[0] * clean.x.q.row], 16, nan);
  std::fill_n(&dirty.d_out[clean.q_start[0] * clean.x.out.row], 16, nan);
  const Gradients a = backward(clean, f, fast_.get()), b = backward(dirty, f, fast_.get());
  for (std::int64_t j = 1; j < n; ++j)
    for (std::int64_t e = 0; e < 16; ++e) {
      const std::int64_t row = clean.k_start[0] + j;
      EXPECT_EQ(a.k[row * clean.x.k.row + e], b.k[row * clean.x.k.row + e]) << j;
      EXPECT_EQ(a.v[row * clean.x.v.row + e], b.v[row * clean.x.v.row + e]) << j;
    }
}

TEST_P(AttentionKernels, VisibleNaNIsNotHidden) {
  for (const std::int64_t n : {1, 15, 40, 100}) {
    Problem p({.queries = {n}, .keys = {n}, .key_width = 16, .value_width = 16});
    p.k[p.k_start[0] * p.x.k.row] = nan;
    const Forward f = forward(p, fast_.get());
    for (std::int64_t t = 0; t < n; ++t) {
      EXPECT_TRUE(std::isnan(f.out[(p.q_start[0] + t) * p.x.out.row])) << n << " " << t;
      EXPECT_TRUE(std::isnan(f.lse[p.q_start[0] + t])) << n << " " << t;
    }
  }
}

TEST_P(AttentionKernels, SameBitsForAnyNumberOfThreads) {
  for (const bool causal : {false, true}) {
    const Problem p({.queries = {15, 0, 40, 200, 7, 33, 1, 16},
                     .keys = {15, 3, 21, 200, 9, 33, 90, 0},
                     .heads = 4,
                     .kv_heads = 2,
                     .key_width = 32,
                     .value_width = 32,
                     .causal = causal,
                     .dropout = 0.1f});
    const ExecutionOwner one(1, GetParam()), three(3, GetParam());
    const Forward a = forward(p, one.get());
    const Gradients ga = backward(p, a, one.get());
    for (const Execution* exec : {&fast_.get(), &three.get()}) {
      const Forward b = forward(p, *exec);
      const Gradients gb = backward(p, a, *exec);
      EXPECT_TRUE(same_bits(a.out, b.out) && same_bits(a.lse, b.lse) && same_bits(a.weights, b.weights));
      EXPECT_TRUE(same_bits(ga.q, gb.q) && same_bits(ga.k, gb.k) && same_bits(ga.v, gb.v));
    }
  }
}

// Rows of a sequence on its own have the bits that they have in a batch. (Without dropout: its elements count
// sequences.)
TEST_P(AttentionKernels, SameBitsAloneAndInABatch) {
  const Problem p({.queries = {15, 40, 1, 100, 20},
                   .keys = {15, 21, 300, 100, 7},
                   .heads = 2,
                   .kv_heads = 2,
                   .key_width = 24,
                   .value_width = 32,
                   .causal = true});
  const Forward whole = forward(p, fast_.get(), false);
  const Gradients whole_g = backward(p, whole, fast_.get());
  for (std::size_t b = 0; b < p.shape.queries.size(); ++b) {
    Problem alone = p;
    alone.x.sequences = 1;
    alone.shape.queries = {p.shape.queries[b]};
    alone.shape.keys = {p.shape.keys[b]};
    alone.q_start = {p.q_start[b]};
    alone.k_start = {p.k_start[b]};
    const Forward f = forward(alone, fast_.get(), false);
    const Gradients g = backward(alone, f, fast_.get());
    const auto rows_agree = [](const auto& one, const auto& all, std::int64_t first, std::int64_t rows,
                               std::int64_t row) {
      return std::memcmp(&one[first * row], &all[first * row], rows * row * sizeof(float)) == 0;
    };
    EXPECT_TRUE(rows_agree(f.out, whole.out, p.q_start[b], p.shape.queries[b], p.x.out.row)) << b;
    EXPECT_TRUE(rows_agree(g.q, whole_g.q, p.q_start[b], p.shape.queries[b], p.x.q.row)) << b;
    EXPECT_TRUE(rows_agree(g.k, whole_g.k, p.k_start[b], p.shape.keys[b], p.x.k.row)) << b;
    EXPECT_TRUE(rows_agree(g.v, whole_g.v, p.k_start[b], p.shape.keys[b], p.x.v.row)) << b;
  }
}

// Reordering a cache by index gives the bits of reordering it by copying.
TEST_P(AttentionKernels, IndexedRowsAreTheRowsThemselves) {
  for (const std::int64_t queries : {1, 12}) {
    const Problem p({.queries = {queries},
                     .keys = {70},
                     .heads = 2,
                     .kv_heads = 2,
                     .key_width = 32,
                     .value_width = 32,
                     .indexed = true});
    Problem copied = p;
    copied.key_rows.clear();
    for (std::int64_t j = 0; j < 70; ++j) {
      const std::int64_t to = p.k_start[0] + j, from = p.key_rows[to];
      std::copy_n(&p.k[from * p.x.k.row], p.x.k.row, &copied.k[to * p.x.k.row]);
      std::copy_n(&p.v[from * p.x.v.row], p.x.v.row, &copied.v[to * p.x.v.row]);
    }
    EXPECT_TRUE(same_bits(forward(p, fast_.get()).out, forward(copied, fast_.get()).out));
  }
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
}  // namespace fovea::kernels
