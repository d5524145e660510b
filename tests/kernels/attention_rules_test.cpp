// What holds of every kernel set whatever the numbers: who sees whom, where NaN goes, which bits agree.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/kernels/attention_problem.h"
#include "tests/kernels/same_bits.h"

namespace fovea::kernels::test::attention {
namespace {

INSTANTIATE_TEST_SUITE_P(All, AttentionKernels, testing::ValuesIn(available_kernels()), set_name);

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

}  // namespace
}  // namespace fovea::kernels::test::attention
