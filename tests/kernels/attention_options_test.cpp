#include "tests/kernels/attention_options.h"
#include "tests/kernels/same_bits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "fovea/base/error.h"

namespace fovea::kernels::test {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

// Errors are judged by the largest value: differences of rounding are spread over sums.
void expect_close(const std::vector<float>& got, const std::vector<float>& want, const char* what) {
  ASSERT_EQ(got.size(), want.size());
  float largest = 1.0f;
  for (const float x : want)
    if (std::isfinite(x)) largest = std::max(largest, std::abs(x));
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == want[i]) continue;
    ASSERT_LE(std::abs(got[i] - want[i]), 2e-5f * largest)
        << what << "[" << i << "]: " << got[i] << " for " << want[i];
  }
}

void expect_close(const OptionResult<float>& got, const OptionResult<float>& want) {
  expect_close(got.out, want.out, "out");
  expect_close(got.lse, want.lse, "log_sum_exp");
  expect_close(got.d_q, want.d_q, "d_q");
  expect_close(got.d_k, want.d_k, "d_k");
  expect_close(got.d_v, want.d_v, "d_v");
  expect_close(got.d_bias, want.d_bias, "d_bias");
  expect_close(got.d_relative, want.d_relative, "d_relative");
  expect_close(got.d_sinks, want.d_sinks, "d_sinks");
}

class AttentionOptions : public testing::TestWithParam<KernelSet> {
 protected:
  void check(const Options& o, std::uint64_t seed = 1) const {
    SCOPED_TRACE(o.text());
    const OptionCall<float> c(o, seed);
    expect_close(run(c, fast_.get()), run(c, reference_.get()));
  }
  ExecutionOwner fast_{2, GetParam()}, reference_{1, KernelSet::reference};
};

std::vector<KernelSet> fast_kernels() {
  std::vector<KernelSet> sets = available_kernels();
  sets.erase(sets.begin());
  return sets;
}

INSTANTIATE_TEST_SUITE_P(All, AttentionOptions, testing::ValuesIn(fast_kernels()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(AttentionOptions, EachAsTheReference) {
  for (const std::int64_t T : {1, 16, 37, 130})
    for (const std::int64_t S : {T, 2 * T + 5}) {
      Options plain;
      plain.queries = {T, 3};
      plain.keys = {S, 4};
      for (const auto& [name, o] : single_options(plain)) {
        SCOPED_TRACE(name);
        check(o);
        if (HasFatalFailure()) return;
      }
    }
}

TEST_P(AttentionOptions, ManyAtOnceAsTheReference) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    check(draw_options(seed), seed);
    if (HasFatalFailure()) return;
  }
}

TEST_P(AttentionOptions, NoQueriesOrNoKeys) {
  Options plain;
  plain.sinks = plain.relative = plain.bias = true;
  for (const auto& lengths : {std::pair{0, 5}, std::pair{5, 0}, std::pair{0, 0}}) {
    plain.queries = {lengths.first};
    plain.keys = {lengths.second};
    check(plain);
  }
}

TEST_P(AttentionOptions, SlowManyAtOnceAsTheReference) {
  for (std::uint64_t seed = 1000; seed < 2500; ++seed) {
    check(draw_options(seed), seed);
    if (HasFatalFailure()) return;
  }
}

void expect_same_bits(const OptionResult<float>& a, const OptionResult<float>& b) {
  EXPECT_TRUE(same_bits(a.out, b.out) && same_bits(a.lse, b.lse));
  EXPECT_TRUE(same_bits(a.d_q, b.d_q) && same_bits(a.d_k, b.d_k) && same_bits(a.d_v, b.d_v));
  EXPECT_TRUE(same_bits(a.d_bias, b.d_bias) && same_bits(a.d_relative, b.d_relative) &&
              same_bits(a.d_sinks, b.d_sinks));
}

// One head whose keys several workers share, and three heads for two workers.
TEST_P(AttentionOptions, SameBitsForAnyNumberOfThreads) {
  for (const std::int64_t heads : {1, 3})
    for (const bool everything : {false, true}) {
      Options o;
      o.queries = {300};
      o.keys = {1100};
      o.heads = o.kv_heads = heads;
      o.right = 0;
      if (everything) {
        o.bias = o.relative = o.sinks = o.mask = true;
        o.bias_over = Options::Over::heads;
        o.rotated = 8;
        o.dropout = 0.1f;
      }
      const OptionCall<float> c(o);
      const ExecutionOwner one(1, GetParam()), three(3, GetParam()), five(5, GetParam());
      const auto want = run(c, one.get());
      expect_same_bits(run(c, fast_.get()), want);
      expect_same_bits(run(c, three.get()), want);
      expect_same_bits(run(c, five.get()), want);
    }
}

// Poison in keys, values, queries and biases reaches those alone who see them.
TEST_P(AttentionOptions, WhatIsHiddenDoesNotLeak) {
  Options plain;
  plain.queries = plain.keys = {90};
  plain.heads = plain.kv_heads = 1;
  plain.key_width = plain.value_width = 16;
  for (const auto& [name, o] : single_options(plain)) {
    if (o.dropout > 0.0f) continue;  // a dropped weight meets its value
    SCOPED_TRACE(name);
    const OptionCall<float> clean(o);
    const AttentionExtents x = clean.extents();
    const auto visible = [&](std::int64_t t, std::int64_t j) {  // as the reference says
      const std::int64_t i = t, at = t * 90 + j;
      if (!((i - o.left <= j && j <= i + o.right) || (o.prefix && j < 30))) return false;
      if (o.mask && !clean.mask[o.mask_over == Options::Over::queries ? j : at]) return false;
      if (o.blocks && !clean.blocks[t / 5 * (90 / 3 + 1) + j / 3]) return false;
      return !o.infinite_bias || std::isfinite(clean.bias[at]);
    };
    const std::int64_t victim = 41;
    for (const float poison : {nan, std::numeric_limits<float>::infinity()}) {
      OptionCall<float> keys = clean, queries = clean;
      std::fill_n(&keys.k[(clean.k_start[0] + victim) * 16], 16, poison);
      std::fill_n(&keys.v[(clean.k_start[0] + victim) * 16], 16, poison);
      std::fill_n(&queries.q[(clean.q_start[0] + victim) * 16], 16, poison);
      std::fill_n(&queries.d_out[(clean.q_start[0] + victim) * 16], 16, poison);
      const auto a = run(clean, fast_.get());
      OptionResult<float> b = run(keys, fast_.get()), c = a;
      attention_backward(fast_.get(), x, keys.inputs(), a.out.data(), a.lse.data(), keys.q_rows,
                         keys.d_out.data(), b.gradients());
      attention_backward(fast_.get(), x, queries.inputs(), a.out.data(), a.lse.data(), keys.q_rows,
                         queries.d_out.data(), c.gradients());
      std::int64_t blind = 0;
      for (std::int64_t t = 0; t < 90; ++t) {
        if (visible(t, victim)) continue;
        ++blind;
        const std::int64_t row = (clean.q_start[0] + t) * 16;
        ASSERT_EQ(std::memcmp(&a.out[row], &b.out[row], 64), 0) << t;
        ASSERT_EQ(std::memcmp(&a.d_q[row], &b.d_q[row], 64), 0) << t;
      }
      for (std::int64_t j = 0; j < 90; ++j) {
        if (visible(victim, j)) continue;
        ++blind;
        const std::int64_t row = (clean.k_start[0] + j) * 16;
        for (int e = 0; e < 16; ++e) {
          ASSERT_EQ(a.d_k[row + e], c.d_k[row + e]) << j;
          ASSERT_EQ(a.d_v[row + e], c.d_v[row + e]) << j;
        }
      }
      const bool hides = o.left < 90 || o.right < 90 || o.mask || o.blocks || o.infinite_bias;
      EXPECT_EQ(blind > 0, hides);
    }
  }
}

TEST_P(AttentionOptions, RowsThatMasksHideAreZero) {
  Options o;
  o.queries = o.keys = {70};
  o.mask = true;
  OptionCall<float> c(o);
  std::fill(c.mask.begin(), c.mask.end(), std::uint8_t{0});
  const auto r = run(c, fast_.get());
  for (std::int64_t row = c.q_start[0]; row < c.q_start[0] + 70; ++row)
    for (std::int64_t e = 0; e < 16; ++e) {
      ASSERT_EQ(r.out[row * 16 + e], 0.0f);
      ASSERT_EQ(r.d_q[row * 16 + e], 0.0f);
      ASSERT_EQ(r.lse[row], -std::numeric_limits<float>::infinity());
    }
  for (std::int64_t row = c.k_start[0]; row < c.k_start[0] + 70; ++row)
    for (std::int64_t e = 0; e < 8; ++e) {
      ASSERT_EQ(r.d_k[row * 8 + e], 0.0f);
      ASSERT_EQ(r.d_v[row * 8 + e], 0.0f);
    }
}

// Rotating inside is rotating before.
TEST_P(AttentionOptions, RotaryIsThatOfRowsRotatedBefore) {
  Options o;
  o.queries = {23};
  o.keys = {40};
  o.rotated = 6;
  for (const bool interleaved : {false, true}) {
    o.interleaved = interleaved;
    const OptionCall<float> c(o);
    OptionCall<float> before = c;
    before.o.rotated = 0;
    before.layout.rotary = {};
    const auto turn = [&](float* row, std::int64_t position) {
      for (int e = 0; e < 3; ++e) {
        float& x = row[interleaved ? 2 * e : e];
        float& y = row[interleaved ? 2 * e + 1 : e + 3];
        const float cos = c.cos[position * 3 + e], sin = c.sin[position * 3 + e], turned = x * cos - y * sin;
        y = y * cos + x * sin;
        x = turned;
      }
    };
    for (int t = 0; t < 23; ++t)
      for (int h = 0; h < 2; ++h) turn(&before.q[(c.q_start[0] + t) * 16 + h * 8], t + 17);
    for (int j = 0; j < 40; ++j) turn(&before.k[(c.k_start[0] + j) * 8], j);
    expect_close(run(c, fast_.get()).out, run(before, fast_.get()).out, "out");
  }
}

// A million keys, in tiles and for a single query, with nothing of their number in memory.
TEST_P(AttentionOptions, AMillionKeys) {
  for (const std::int64_t T : {1, 9}) {
    Options o;
    o.queries = {T};
    o.keys = {1000003};
    o.heads = 1;
    o.key_width = 2;
    o.value_width = 3;
    const OptionCall<float> c(o);
    OptionResult<float> got(c), want(c);
    attention_forward(fast_.get(), c.extents(), c.inputs(), got.out.data(), got.lse.data(), c.q_rows);
    attention_forward(reference_.get(), c.extents(), c.inputs(), want.out.data(), want.lse.data(), c.q_rows);
    expect_close(got.out, want.out, "out");
    expect_close(got.lse, want.lse, "log_sum_exp");
  }
}

// Attention written down in floats: scores, softmax, sum.
std::vector<float> plain_attention(const OptionCall<float>& c) {
  const std::int64_t T = c.o.queries[0], S = c.o.keys[0], E = c.o.key_width;
  std::vector<float> out(c.d_out.size(), -7.0f), p(static_cast<std::size_t>(S));
  for (std::int64_t t = 0; t < T; ++t) {
    const float* q = &c.q[(c.q_start[0] + t) * E];
    float largest = -std::numeric_limits<float>::infinity(), sum = 0.0f;
    const auto sees = [&](std::int64_t j) {
      const std::int64_t i = t + S - T;
      return i - c.o.left <= j && j <= i + c.o.right;
    };
    for (std::int64_t j = 0; j < S; ++j) {
      p[j] = 0.0f;
      for (std::int64_t e = 0; e < E; ++e) p[j] += q[e] * c.k[(c.k_start[0] + j) * E + e];
      p[j] = sees(j) ? p[j] * c.o.scale : -std::numeric_limits<float>::infinity();
      largest = std::max(largest, p[j]);
    }
    for (std::int64_t j = 0; j < S; ++j) sum += p[j] = sees(j) ? std::exp(p[j] - largest) : 0.0f;
    for (std::int64_t e = 0; e < E; ++e) {
      float mixed = 0.0f;
      for (std::int64_t j = 0; j < S; ++j)
        if (sees(j)) mixed += p[j] / sum * c.v[(c.k_start[0] + j) * E + e];
      out[(c.q_start[0] + t) * E + e] = sum == 0.0f ? 0.0f : mixed;
    }
  }
  return out;
}

// Sums over draws of the largest error.
struct Errors {
  double ours = 0.0, plain = 0.0, rounding = 0.0;
  void add(const OptionCall<float>& c, const ExecutionOwner& exec, const std::vector<double>& truth,
           const std::vector<float>& written_down) {
    OptionResult<float> r(c);
    attention_forward(exec.get(), c.extents(), c.inputs(), r.out.data(), r.lse.data(), c.q_rows);
    double most[3] = {};
    for (std::size_t i = 0; i < truth.size(); ++i) {
      const auto stored = static_cast<float>(truth[i]);
      most[0] = std::max(most[0], std::abs(r.out[i] - truth[i]));
      most[1] = std::max(most[1], std::abs(written_down[i] - truth[i]));
      most[2] = std::max(most[2], double{std::abs(stored + 0.3f - 0.3f - stored)});
    }
    ours += most[0], plain += most[1], rounding += most[2];
  }
};

// The rule of flash-attention's tests (Dao's hopper/test_flash_attn.py), on its grid of widths. The largest
// error of one draw is chance, so it is a mean over three: everything, causal, a window.
TEST(AttentionOption, ErrorsAreThoseOfThePlainFormula) {
  const std::vector<std::pair<std::int64_t, std::int64_t>> lengths{{97, 113}, {113, 203}, {203, 97}};
  for (const std::int64_t width : {32, 40, 59, 64, 80, 96, 111, 128, 160, 192, 224, 256}) {
    std::vector<Errors> errors(available_kernels().size());
    for (std::size_t draw = 0; draw < 3; ++draw) {
      Options o;
      o.queries = {lengths[(draw + static_cast<std::size_t>(width)) % 3].first};
      o.keys = {lengths[(draw + static_cast<std::size_t>(width)) % 3].second};
      o.heads = 1;
      o.key_width = o.value_width = width;
      o.scale = 1.0f / std::sqrt(static_cast<float>(width));
      if (draw > 0) o.right = draw == 1 ? 0 : 9;
      if (draw == 2) o.left = 31;
      const OptionCall<float> c(o, 100 + draw);
      const OptionCall<double> exact(o, 100 + draw);
      std::vector<double> truth(exact.d_out.size(), -7.0), lse(static_cast<std::size_t>(c.q_rows));
      reference::attention_forward<double>(exact.extents(), exact.inputs(), truth.data(), lse.data(),
                                           c.q_rows);
      const std::vector<float> plain = plain_attention(c);
      for (std::size_t i = 0; i < errors.size(); ++i)
        errors[i].add(c, ExecutionOwner(1, available_kernels()[i]), truth, plain);
    }
    for (std::size_t i = 0; i < errors.size(); ++i)
      EXPECT_LE(errors[i].ours, 2 * errors[i].plain + 2 * errors[i].rounding)
          << name_of(available_kernels()[i]) << " E=" << width;
  }
}

TEST_P(AttentionOptions, RepeatsBitForBit) {
  Options o = draw_options(17);
  o.queries = {70};
  o.keys = {90};
  const OptionCall<float> c(o);
  const auto first = run(c, fast_.get());
  for (int i = 0; i < 250; ++i) expect_same_bits(run(c, fast_.get()), first);
}

// Each option changes what comes out.
TEST(AttentionOption, EachChangesTheAnswer) {
  Options plain;
  plain.queries = plain.keys = {20};
  for (const KernelSet set : available_kernels()) {
    const ExecutionOwner exec(1, set);
    const auto before = run(OptionCall<float>(plain), exec.get());
    for (const auto& [name, o] : single_options(plain)) {
      const auto after = run(OptionCall<float>(o), exec.get());
      EXPECT_FALSE(same_bits(before.out, after.out)) << name;
      EXPECT_FALSE(same_bits(before.d_k, after.d_k)) << name;
    }
  }
  // Where lengths differ, so does the alignment of a window.
  const ExecutionOwner exec(1);
  Options o;
  o.queries = {5};
  o.right = 0;
  Options start = o;
  start.to_end = false;
  EXPECT_FALSE(
      same_bits(run(OptionCall<float>(o), exec.get()).out, run(OptionCall<float>(start), exec.get()).out));
}

// Gradients of the reference against central differences of its forward, all in double.
void check_gradients(const Options& o) {
  SCOPED_TRACE(o.text());
  OptionCall<double> c(o);
  OptionResult<double> r(c);
  const auto loss = [&] {
    reference::attention_forward<double>(c.extents(), c.inputs(), r.out.data(), r.lse.data(), c.q_rows);
    double sum = 0.0;
    for (std::size_t i = 0; i < r.out.size(); ++i)
      if (!std::isnan(c.d_out[i])) sum += r.out[i] * c.d_out[i];
    return sum;
  };
  loss();
  OptionResult<double> g = r;
  reference::attention_backward<double>(c.extents(), c.inputs(), r.out.data(), r.lse.data(), c.q_rows,
                                        c.d_out.data(), g.gradients());
  const auto differentiate = [&](std::vector<double>& x, const std::vector<double>& gradient,
                                 const char* name) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!std::isfinite(x[i])) continue;
      const double at = x[i], h = 1e-5;
      x[i] = at + h;
      const double above = loss();
      x[i] = at - h;
      const double below = loss();
      x[i] = at;
      const double slope = (above - below) / (2 * h);
      if (gradient[i] == -7.0)
        ASSERT_EQ(slope, 0.0) << name << " " << i;  // of no pair
      else
        ASSERT_NEAR(gradient[i], slope, 1e-7) << name << " " << i;
    }
  };
  differentiate(c.q, g.d_q, "q");
  differentiate(c.k, g.d_k, "k");
  differentiate(c.v, g.d_v, "v");
  differentiate(c.bias, g.d_bias, "bias");
  differentiate(c.relative, g.d_relative, "relative");
  differentiate(c.sinks, g.d_sinks, "sinks");
}

TEST(AttentionReference, GradientsOfEachOption) {
  Options plain;
  plain.queries = {3, 4};
  plain.keys = {5, 6};
  plain.key_width = 4;
  plain.value_width = 2;
  for (const auto& [name, o] : single_options(plain)) check_gradients(o);
  Options all = plain;
  all.right = 1;
  all.prefix = all.mask = all.bias = all.relative = all.sinks = true;
  all.bias_over = Options::Over::heads;
  all.soft_cap = 1.0f;
  all.rotated = 4;
  all.dropout = 0.2f;
  check_gradients(all);
}

TEST(AttentionOption, BadCallsNameAllShapes) {
  const ExecutionOwner exec(1);
  const auto refuses = [&](const Options& o, const std::string& part, const auto& change) {
    OptionCall<float> c(o);
    AttentionExtents x = c.extents();
    change(x);
    OptionResult<float> r(c);
    try {
      attention_forward(exec.get(), x, c.inputs(), r.out.data(), r.lse.data(), c.q_rows);
      ADD_FAILURE() << "accepted: " << part;
    } catch (const Error& e) {
      const std::string text = e.what();
      EXPECT_NE(text.find(part), std::string::npos) << text;
      EXPECT_NE(text.find("q [B=1, T<=20, H="), std::string::npos) << text;
      EXPECT_EQ(r.out[0], -7.0f);
    }
  };
  const Options plain;
  refuses(plain, "cannot share", [](auto& x) { x.kv_heads = 3; });
  refuses(plain, "must be positive", [](auto& x) { x.value_width = 0; });
  refuses(plain, "negative", [](auto& x) { x.visible.left = -1; });
  refuses(plain, "dropout", [](auto& x) { x.dropout.p = 1.0f; });
  refuses(plain, "soft cap", [](auto& x) { x.soft_cap = -2.0f; });
  refuses(plain, "scale", [](auto& x) { x.scale = nan; });
  Options o = plain;
  o.prefix = true;
  refuses(o, "prefix", [](auto& x) { x.visible.left = 4; });
  o = plain;
  o.relative = true;
  refuses(o, "distances -19 to 0", [](auto& x) { x.relative.count = 30; });
  o = plain;
  o.rotated = 4;
  refuses(o, "rotary table of 10", [](auto& x) { x.rotary.positions = 10; });
  refuses(o, "even width", [](auto& x) { x.rotary.width = 3; });
  o = plain;
  o.blocks = true;
  refuses(o, "blocks", [](auto& x) { x.blocks.key_block = 0; });
}

}  // namespace
}  // namespace fovea::kernels::test
