// What holds of every kernel set whatever the numbers: who sees whom, where NaN goes, which bits agree; and
// the reference's gradients against differences.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "fovea/kernels/reference/additive_attention.h"
#include "tests/kernels/additive_problem.h"
#include "tests/kernels/finite_difference.h"

namespace fovea::kernels::test::additive {
namespace {

using fovea::test::expect_gradient;

INSTANTIATE_TEST_SUITE_P(All, AdditiveKernels, testing::ValuesIn(available_kernels()), set_name);

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
  expect_gradient("q", p_.q, d_q_, loss);
  expect_gradient("k", p_.k, d_k_, loss);
  expect_gradient("v", p_.v, d_v_, loss);
  expect_gradient("value", p_.value, d_value_, loss);
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
  expect_gradient("q", p_.q, d_q_, loss);
  expect_gradient("k", p_.k, d_k_, loss);
  expect_gradient("v", p_.v, d_v_, loss);
}

}  // namespace
}  // namespace fovea::kernels::test::additive
