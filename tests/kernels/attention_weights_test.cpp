#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "tests/kernels/attention_options.h"

namespace fovea::kernels::test {
namespace {

struct Weighed {
  std::vector<float> all, top, entropy, columns;
  std::vector<std::int32_t> keys;
};

// Everything of the chosen heads and rows (none given: of all).
Weighed weigh(const OptionCall<float>& c, const Execution& exec, std::vector<std::int32_t> heads = {},
              std::vector<std::int32_t> rows = {}, std::int64_t top = 3) {
  OptionResult<float> r(c);
  attention_forward(exec, c.extents(), c.inputs(), r.out.data(), r.lse.data(), c.q_rows);
  const std::int64_t H = heads.empty() ? c.o.heads : static_cast<std::int64_t>(heads.size());
  std::int64_t weights = 0;
  for (std::size_t b = 0; b < c.o.queries.size(); ++b)
    for (std::int64_t t = 0; t < c.o.queries[b]; ++t)
      if (rows.empty() || std::count(rows.begin(), rows.end(), c.q_start[b] + t)) weights += H * c.o.keys[b];
  Weighed w;
  w.all.assign(static_cast<std::size_t>(weights), -7.0f);
  w.top.assign(static_cast<std::size_t>(H * c.q_rows * top), -7.0f);
  w.keys.assign(w.top.size(), -7);
  w.entropy.assign(static_cast<std::size_t>(H * c.q_rows), -7.0f);
  w.columns.assign(static_cast<std::size_t>(H * c.k_rows), -7.0f);
  AttentionWeights wanted;
  if (!heads.empty()) wanted.heads = heads.data(), wanted.head_count = H;
  if (!rows.empty()) wanted.rows = rows.data(), wanted.row_count = static_cast<std::int64_t>(rows.size());
  wanted.all = w.all.data();
  wanted.top = top;
  wanted.top_weights = w.top.data();
  wanted.top_keys = w.keys.data();
  wanted.entropy = w.entropy.data();
  wanted.row_stride = c.q_rows;
  wanted.column_sums = w.columns.data();
  wanted.column_stride = c.k_rows;
  attention_weights(exec, c.extents(), c.inputs(), r.lse.data(), c.q_rows, wanted);
  return w;
}

Options mixed() {
  Options o;
  o.queries = {30, 0, 70};
  o.keys = {41, 3, 150};
  o.right = 0;
  o.mask = o.relative = o.sinks = true;
  o.soft_cap = 2.0f;
  o.rotated = 8;
  return o;
}

class AttentionWeightsOnRequest : public testing::TestWithParam<KernelSet> {
 protected:
  ExecutionOwner fast_{2, GetParam()}, reference_{1, KernelSet::reference};
};

INSTANTIATE_TEST_SUITE_P(All, AttentionWeightsOnRequest, testing::ValuesIn(available_kernels()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(AttentionWeightsOnRequest, AsTheReference) {
  for (const bool chosen : {false, true}) {
    const OptionCall<float> c(mixed());
    const std::vector<std::int32_t> heads =
        chosen ? std::vector<std::int32_t>{1} : std::vector<std::int32_t>{};
    std::vector<std::int32_t> rows;
    if (chosen) rows = {1, 2, 3, 30, 33, 34, 101, 102};  // of the first sequence 1..30, of the last 33..102
    const Weighed got = weigh(c, fast_.get(), heads, rows), want = weigh(c, reference_.get(), heads, rows);
    fovea::test::expect_near(got.all, want.all, 1e-5, "all");
    fovea::test::expect_near(got.top, want.top, 1e-5, "top");
    fovea::test::expect_near(got.entropy, want.entropy, 1e-5, "entropy");
    fovea::test::expect_near(got.columns, want.columns, 1e-5, "columns");
    EXPECT_EQ(got.keys, want.keys);
  }
}

// By hand: uniform weights over what a causal query sees.
TEST_P(AttentionWeightsOnRequest, UniformByHand) {
  Options o;
  o.queries = o.keys = {4};
  o.heads = 1;
  o.right = 0;
  o.scale = 0.0f;
  const Weighed w = weigh(OptionCall<float>(o), fast_.get());
  const std::vector<float> all{1,       0,       0,       0, .5f,  .5f,  0,    0,
                               1 / 3.f, 1 / 3.f, 1 / 3.f, 0, .25f, .25f, .25f, .25f};
  fovea::test::expect_near(w.all, all, 1e-6, "all");
  for (int t = 0; t < 4; ++t) {
    EXPECT_NEAR(w.entropy[1 + t], std::log(t + 1.0), 1e-6);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(w.keys[(1 + t) * 3 + i], i <= t ? i : -1);  // ties: the first keys
  }
  EXPECT_NEAR(w.columns[1], 1 + 1 / 2. + 1 / 3. + 1 / 4., 1e-6);
  EXPECT_NEAR(w.columns[4], 1 / 4., 1e-6);
  EXPECT_EQ(w.columns[0], -7.0f);
}

TEST_P(AttentionWeightsOnRequest, RowsSumToOneWithoutASink) {
  Options o = mixed();
  o.sinks = false;
  o.mask = false;
  const OptionCall<float> c(o);
  const Weighed w = weigh(c, fast_.get());
  for (int row = 0; row < 60; ++row)
    EXPECT_NEAR(std::accumulate(w.all.begin() + row * 41, w.all.begin() + (row + 1) * 41, 0.0), 1.0, 1e-5);
}

}  // namespace
}  // namespace fovea::kernels::test
