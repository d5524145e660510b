#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "fovea/base/bfloat16.h"
#include "fovea/kernels/cpu/attention_bf16_plan.h"
#include "tests/kernels/attention_options.h"
#include "tests/kernels/same_bits.h"

namespace fovea::kernels::test {
namespace {

using Rows = std::vector<bfloat16>;

Rows rounded(const std::vector<float>& x) {
  Rows to;
  for (const float value : x) to.push_back(bfloat16(value));
  return to;
}
std::vector<double> widened(const Rows& x) {
  std::vector<double> to;
  for (const bfloat16 value : x) to.push_back(static_cast<float>(value));
  return to;
}

// A call in bf16 with the options of one in f32.
struct Bf16Call {
  OptionCall<float> f32;
  Rows q, k, v, d_out;

  explicit Bf16Call(const Options& o, std::uint64_t seed = 1)
      : f32(o, seed), q(rounded(f32.q)), k(rounded(f32.k)), v(rounded(f32.v)), d_out(rounded(f32.d_out)) {}

  AttentionInputsBf16 inputs() const {
    const AttentionInputs in = f32.inputs();
    return {q.data(), k.data(), v.data(), in.bias, in.relative, in.sinks};
  }
  // The same numbers in double.
  OptionCall<double> exact() const {
    OptionCall<double> to(f32.o);
    to.q = widened(q), to.k = widened(k), to.v = widened(v), to.d_out = widened(d_out);
    to.bias.assign(f32.bias.begin(), f32.bias.end());
    to.relative.assign(f32.relative.begin(), f32.relative.end());
    to.sinks.assign(f32.sinks.begin(), f32.sinks.end());
    return to;
  }
};

struct Bf16Result {
  Rows out, d_q, d_k, d_v;
  std::vector<float> lse, d_bias, d_relative, d_sinks;

  explicit Bf16Result(const Bf16Call& c)
      : out(c.d_out.size(), bfloat16(-7.0f)),
        d_q(c.q.size(), bfloat16(-7.0f)),
        d_k(c.k.size(), bfloat16(-7.0f)),
        d_v(c.v.size(), bfloat16(-7.0f)),
        lse(static_cast<std::size_t>(c.f32.q_rows * c.f32.o.heads), -7.0f),
        d_bias(c.f32.bias.size(), -7.0f),
        d_relative(c.f32.relative.size(), -7.0f),
        d_sinks(c.f32.sinks.size(), -7.0f) {}

  void forward(const Bf16Call& c, const Execution& exec) {
    attention_forward(exec, c.f32.extents(), c.inputs(), out.data(), lse.data(), c.f32.q_rows);
  }
  void backward(const Bf16Call& c, const Execution& exec) {
    const auto given = [](std::vector<float>& x) { return x.empty() ? nullptr : x.data(); };
    attention_backward(
        exec, c.f32.extents(), c.inputs(), out.data(), lse.data(), c.f32.q_rows, c.d_out.data(),
        {d_q.data(), d_k.data(), d_v.data(), given(d_bias), given(d_relative), given(d_sinks)});
  }
};

Bf16Result run(const Bf16Call& c, const Execution& exec) {
  Bf16Result r(c);
  r.forward(c, exec);
  r.backward(c, exec);
  return r;
}

// Errors are judged by the largest value: differences of rounding are spread over sums.
template <class Values>
void expect_close(const Values& got, const Values& want, double tolerance, const char* what,
                  float least = 1.0f) {
  ASSERT_EQ(got.size(), want.size());
  float largest = least;
  for (const auto x : want)
    if (std::isfinite(static_cast<float>(x))) largest = std::max(largest, std::abs(static_cast<float>(x)));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto a = static_cast<float>(got[i]), b = static_cast<float>(want[i]);
    if (a == b) continue;
    ASSERT_LE(std::abs(a - b), tolerance * largest) << what << "[" << i << "]: " << a << " for " << b;
  }
}

// `o` says what was computed.
void expect_close(const Bf16Result& got, const Bf16Result& want, const Options& o) {
  expect_close(got.out, want.out, 0.015, "out");
  expect_close(got.lse, want.lse, 0.004, "log_sum_exp");  // rotated rows are rounded
  expect_close(got.d_q, want.d_q, 0.02, "d_q");
  expect_close(got.d_k, want.d_k, 0.02, "d_k");
  expect_close(got.d_v, want.d_v, 0.02, "d_v");
  // Sums of p (dp - delta), differences of bf16 products: a few times bf16's 2^-8 where they cancel. Of a row
  // that sees one key they cancel wholly: what is left is the rounding of two sums over E numbers of size 1,
  // which dropout enlarges.
  const float terms = std::sqrt(static_cast<float>(o.value_width)) / (4.0f * (1.0f - o.dropout));
  const float least = std::max(1.0f, terms);
  expect_close(got.d_bias, want.d_bias, 10.0 / 256, "d_bias", least);
  expect_close(got.d_relative, want.d_relative, 10.0 / 256, "d_relative", least);
  expect_close(got.d_sinks, want.d_sinks, 10.0 / 256, "d_sinks", least);
}

void expect_same_bits(const Bf16Result& a, const Bf16Result& b) {
  EXPECT_TRUE(same_bits(a.out, b.out) && same_bits(a.lse, b.lse));
  EXPECT_TRUE(same_bits(a.d_q, b.d_q));
  EXPECT_TRUE(same_bits(a.d_k, b.d_k) && same_bits(a.d_v, b.d_v));
  EXPECT_TRUE(same_bits(a.d_bias, b.d_bias) && same_bits(a.d_relative, b.d_relative) &&
              same_bits(a.d_sinks, b.d_sinks));
}

class AttentionBf16 : public testing::TestWithParam<KernelSet> {
 protected:
  void check(const Options& o, std::uint64_t seed = 1) const {
    SCOPED_TRACE(o.text());
    const Bf16Call c(o, seed);
    expect_close(run(c, fast_.get()), run(c, reference_.get()), o);
  }
  ExecutionOwner fast_{2, GetParam()}, reference_{1, KernelSet::reference};
};

std::vector<KernelSet> fast_kernels() {
  std::vector<KernelSet> sets = available_kernels();
  sets.erase(sets.begin());
  return sets;
}

INSTANTIATE_TEST_SUITE_P(All, AttentionBf16, testing::ValuesIn(fast_kernels()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(AttentionBf16, EachAsTheReference) {
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

TEST_P(AttentionBf16, ManyAtOnceAsTheReference) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    check(draw_options(seed), seed);
    if (HasFatalFailure()) return;
  }
}

TEST_P(AttentionBf16, SlowManyAtOnceAsTheReference) {
  for (std::uint64_t seed = 1000; seed < 2500; ++seed) {
    check(draw_options(seed), seed);
    if (HasFatalFailure()) return;
  }
}

TEST_P(AttentionBf16, NoQueriesOrNoKeys) {
  Options plain;
  plain.sinks = plain.relative = plain.bias = true;
  for (const auto& lengths : {std::pair{0, 5}, std::pair{5, 0}, std::pair{0, 0}}) {
    plain.queries = {lengths.first};
    plain.keys = {lengths.second};
    check(plain);
  }
}

// One head whose keys several workers share, and three heads for two workers.
TEST_P(AttentionBf16, SameBitsForAnyNumberOfThreads) {
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
      const Bf16Call c(o);
      const ExecutionOwner one(1, GetParam()), three(3, GetParam()), five(5, GetParam());
      const auto want = run(c, one.get());
      expect_same_bits(run(c, fast_.get()), want);
      expect_same_bits(run(c, three.get()), want);
      expect_same_bits(run(c, five.get()), want);
    }
}

// A row's bits do not depend on its neighbours in the batch.
TEST_P(AttentionBf16, SameBitsAlone) {
  Options both;
  both.queries = {70, 37};
  both.keys = {131, 53};
  both.right = 0;
  const Bf16Call all(both);
  Options second = both;
  second.queries = {37};
  second.keys = {53};
  Bf16Call alone(second);
  const auto take = [](const Rows& from, std::int64_t from_row, Rows& to, std::int64_t to_row,
                       std::int64_t rows, std::int64_t row) {
    std::copy_n(from.begin() + from_row * row, rows * row, to.begin() + to_row * row);
  };
  take(all.q, all.f32.q_start[1], alone.q, alone.f32.q_start[0], 37, 16);
  take(all.k, all.f32.k_start[1], alone.k, alone.f32.k_start[0], 53, 8);
  take(all.v, all.f32.k_start[1], alone.v, alone.f32.k_start[0], 53, 8);
  Bf16Result together(all), single(alone);
  together.forward(all, fast_.get());
  single.forward(alone, fast_.get());
  EXPECT_EQ(std::memcmp(&together.out[static_cast<std::size_t>(all.f32.q_start[1] * 16)],
                        &single.out[static_cast<std::size_t>(alone.f32.q_start[0] * 16)],
                        37 * 16 * sizeof(bfloat16)),
            0);
}

TEST_P(AttentionBf16, RepeatsBitForBit) {
  Options o = draw_options(17);
  o.queries = {70};
  o.keys = {90};
  const Bf16Call c(o);
  const auto first = run(c, fast_.get());
  for (int i = 0; i < 250; ++i) expect_same_bits(run(c, fast_.get()), first);
}

// Each option changes what comes out.
TEST(AttentionBf16Option, EachChangesTheAnswer) {
  Options plain;
  for (const KernelSet set : available_kernels()) {
    const ExecutionOwner exec(1, set);
    const auto before = run(Bf16Call(plain), exec.get());
    for (const auto& [name, o] : single_options(plain)) {
      const auto after = run(Bf16Call(o), exec.get());
      EXPECT_FALSE(same_bits(before.out, after.out)) << name;
      EXPECT_FALSE(same_bits(before.d_k, after.d_k)) << name;
    }
  }
}

// Poison in keys, values, queries and gradients reaches those alone who see them.
TEST_P(AttentionBf16, WhatIsHiddenDoesNotLeak) {
  Options plain;
  plain.queries = plain.keys = {90};
  plain.heads = plain.kv_heads = 1;
  plain.key_width = plain.value_width = 16;
  for (const auto& [name, o] : single_options(plain)) {
    if (o.dropout > 0.0f) continue;  // a dropped weight meets its value
    SCOPED_TRACE(name);
    const Bf16Call clean(o);
    const auto visible = [&](std::int64_t t, std::int64_t j) {  // as the reference says
      const std::int64_t at = t * 90 + j;
      if (!((t - o.left <= j && j <= t + o.right) || (o.prefix && j < 30))) return false;
      if (o.mask && !clean.f32.mask[o.mask_over == Options::Over::queries ? j : at]) return false;
      if (o.blocks && !clean.f32.blocks[t / 5 * (90 / 3 + 1) + j / 3]) return false;
      return !o.infinite_bias || std::isfinite(clean.f32.bias[at]);
    };
    const std::int64_t first = clean.f32.q_start[0];  // of queries as of keys
    const auto same_row = [&](const Rows& a, const Rows& b, std::int64_t row) {
      return std::equal(
          &a[(first + row) * 16], &a[(first + row) * 16] + 16, &b[(first + row) * 16],
          [](bfloat16 x, bfloat16 y) { return static_cast<float>(x) == static_cast<float>(y); });
    };
    const auto a = run(clean, fast_.get());
    for (const std::int64_t victim : {41, 42})
      for (const float poison :
           {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        Bf16Call keys = clean, queries = clean;
        for (Rows* rows : {&keys.k, &keys.v, &queries.q, &queries.d_out})
          std::fill_n(&(*rows)[(first + victim) * 16], 16, bfloat16(poison));
        const auto b = run(keys, fast_.get()), c = run(queries, fast_.get());
        for (std::int64_t i = 0; i < 90; ++i) {
          if (!visible(i, victim)) {
            ASSERT_TRUE(same_row(a.out, b.out, i)) << i;
            ASSERT_TRUE(same_row(a.d_q, b.d_q, i)) << i;
          }
          if (visible(victim, i)) continue;
          ASSERT_TRUE(same_row(a.d_k, c.d_k, i)) << i;
          ASSERT_TRUE(same_row(a.d_v, c.d_v, i)) << i;
        }
        EXPECT_FALSE(same_row(a.out, b.out, victim) && same_row(a.out, c.out, victim));
      }
  }
}

// Attention written down in bf16, without tiles: operands, weights and gradients of scores rounded where a
// product reads them, sums in f32, results rounded once.
class PlainFormula {
 public:
  Bf16Result result;

  explicit PlainFormula(const Bf16Call& c)
      : result(c), c_(c), x_(c.f32.extents()), T_(c.f32.o.queries[0]), S_(c.f32.o.keys[0]) {
    for (std::int64_t h = 0; h < x_.heads; ++h) head(h);
    const auto round = [](const std::vector<float>& from, Rows& to) {
      for (std::size_t i = 0; i < from.size(); ++i) to[i] = bfloat16(from[i]);
    };
    round(d_k_, result.d_k);
    round(d_v_, result.d_v);
  }

 private:
  static float value(bfloat16 x) { return static_cast<float>(x); }
  static float rounded(float x) { return value(bfloat16(x)); }
  static float dot(const bfloat16* a, const bfloat16* b, std::int64_t n) {
    float sum = 0.0f;
    for (std::int64_t e = 0; e < n; ++e) sum += value(a[e]) * value(b[e]);
    return sum;
  }

  void head(std::int64_t h) {
    const std::int64_t g = h / (x_.heads / x_.kv_heads), E = x_.key_width, V = x_.value_width;
    std::vector<float> score(S_), slope(S_, 1.0f), p(S_), m(S_, 1.0f);
    for (std::int64_t t = 0; t < T_; ++t) {
      const std::int64_t q_at = (c_.f32.q_start[0] + t) * x_.q.row + h * x_.q.head;
      const std::int64_t out_at = (c_.f32.q_start[0] + t) * x_.out.row + h * x_.out.head;
      const std::int64_t i = t + S_ - T_, first = std::max<std::int64_t>(0, i - c_.f32.o.left);
      const std::int64_t end = std::clamp<std::int64_t>(i + c_.f32.o.right + 1, first, S_);
      const auto k_at = [&](std::int64_t j) { return (c_.f32.k_start[0] + j) * x_.k.row + g * x_.k.head; };
      const auto v_at = [&](std::int64_t j) { return (c_.f32.k_start[0] + j) * x_.v.row + g * x_.v.head; };
      float largest = -1e30f, sum = 0.0f, delta = 0.0f;
      for (std::int64_t j = first; j < end; ++j) {
        score[j] = x_.scale * dot(&c_.q[q_at], &c_.k[k_at(j)], E);
        if (x_.soft_cap > 0.0f) {
          const float u = std::tanh(score[j] / x_.soft_cap);
          score[j] = x_.soft_cap * u;
          slope[j] = 1.0f - u * u;
        }
        if (c_.f32.o.relative) score[j] += c_.f32.relative[h * x_.relative.head + x_.relative.zero + i - j];
        largest = std::max(largest, score[j]);
        if (x_.dropout.active())
          m[j] = x_.dropout.multiplier((static_cast<std::uint64_t>(h) << 40) +
                                       static_cast<std::uint64_t>(t * S_ + j));
      }
      for (std::int64_t j = first; j < end; ++j) sum += p[j] = std::exp(score[j] - largest);
      for (std::int64_t j = first; j < end; ++j) p[j] /= sum;
      for (std::int64_t e = 0; e < V; ++e) {
        float mixed = 0.0f;
        for (std::int64_t j = first; j < end; ++j) mixed += rounded(p[j] * m[j]) * value(c_.v[v_at(j) + e]);
        result.out[out_at + e] = bfloat16(mixed);
      }
      delta = dot(&result.out[out_at], &c_.d_out[out_at], V);
      std::vector<float> d_q(E);
      for (std::int64_t j = first; j < end; ++j) {
        const float dp = m[j] * dot(&c_.d_out[out_at], &c_.v[v_at(j)], V);
        const float ds = rounded(p[j] * (dp - delta) * slope[j]);
        for (std::int64_t e = 0; e < E; ++e) {
          d_q[e] += ds * value(c_.k[k_at(j) + e]);
          d_k_[k_at(j) + e] += x_.scale * ds * value(c_.q[q_at + e]);
        }
        for (std::int64_t e = 0; e < V; ++e)
          d_v_[v_at(j) + e] += rounded(p[j] * m[j]) * value(c_.d_out[out_at + e]);
      }
      for (std::int64_t e = 0; e < E; ++e) result.d_q[q_at + e] = bfloat16(x_.scale * d_q[e]);
    }
  }

  const Bf16Call& c_;
  AttentionExtents x_;

  std::int64_t T_, S_;
  std::vector<float> d_k_ = std::vector<float>(c_.k.size()), d_v_ = std::vector<float>(c_.v.size());
};

// The rule of flash-attention's tests (Dao's hopper/test_flash_attn.py): the largest error is at most twice
// that of the plain formula, and twice what adding and taking away 0.3 costs.
void expect_error_of_the_plain_formula(const Rows& got, const Rows& plain, const std::vector<double>& truth,
                                       const char* what) {
  double ours = 0.0, theirs = 0.0, rounding = 0.0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    if (truth[i] == -7.0) continue;  // of no sequence
    const bfloat16 stored(static_cast<float>(truth[i]));
    const bfloat16 moved(static_cast<float>(bfloat16(static_cast<float>(stored) + 0.3f)) - 0.3f);
    ours = std::max(ours, std::abs(static_cast<float>(got[i]) - truth[i]));
    theirs = std::max(theirs, std::abs(static_cast<float>(plain[i]) - truth[i]));
    rounding = std::max(rounding, std::abs(double{static_cast<float>(moved)} - static_cast<float>(stored)));
  }
  EXPECT_GT(theirs, 0.0) << what;
  EXPECT_LE(ours, 2 * theirs + 2 * rounding) << what << ": plain " << theirs << ", rounding " << rounding;
}

void check_errors(const Options& o, std::uint64_t seed, const std::vector<KernelSet>& sets) {
  SCOPED_TRACE(o.text());
  const Bf16Call c(o, seed);
  const PlainFormula plain(c);
  const OptionCall<double> exact = c.exact();
  OptionResult<double> truth(exact);
  reference::attention_forward<double>(exact.extents(), exact.inputs(), truth.out.data(), truth.lse.data(),
                                       exact.q_rows);
  reference::attention_backward<double>(exact.extents(), exact.inputs(), truth.out.data(), truth.lse.data(),
                                        exact.q_rows, exact.d_out.data(), truth.gradients());
  for (const KernelSet set : sets) {
    SCOPED_TRACE(name_of(set));
    const Bf16Result got = run(c, ExecutionOwner(2, set).get());
    expect_error_of_the_plain_formula(got.out, plain.result.out, truth.out, "out");
    expect_error_of_the_plain_formula(got.d_q, plain.result.d_q, truth.d_q, "d_q");
    expect_error_of_the_plain_formula(got.d_k, plain.result.d_k, truth.d_k, "d_k");
    expect_error_of_the_plain_formula(got.d_v, plain.result.d_v, truth.d_v, "d_v");
    for (std::size_t i = 0; i < truth.lse.size(); ++i) ASSERT_NEAR(got.lse[i], truth.lse[i], 1.5e-4);
  }
}

Options one_sequence(std::int64_t T, std::int64_t S, std::int64_t width) {
  Options o;
  o.queries = {T};
  o.keys = {S};
  o.key_width = o.value_width = width;
  o.scale = 1.0f / std::sqrt(static_cast<float>(width));
  return o;
}

TEST(AttentionBf16Errors, OfEveryWidth) {
  const std::vector<std::pair<std::int64_t, std::int64_t>> lengths{{97, 113}, {113, 203}, {203, 257}};
  std::size_t i = 0;
  for (const std::int64_t width : {32, 40, 59, 64, 80, 96, 111, 128, 160, 192, 224, 256}) {
    Options o = one_sequence(lengths[i % 3].first, lengths[i % 3].second, width);
    if (i % 2) o.right = 0;
    check_errors(o, 100 + i++, fast_kernels());
  }
}

TEST(AttentionBf16Errors, OfEveryOption) {
  const auto with = [](const auto& change) {
    Options o = one_sequence(203, 257, 64);
    change(o);
    check_errors(o, 3, fast_kernels());
  };
  with([](Options& o) { o.right = 0; });
  with([](Options& o) { o.left = 31, o.right = 9; });
  with([](Options& o) { o.relative = true; });
  with([](Options& o) { o.soft_cap = 2.0f; });
  with([](Options& o) { o.dropout = 0.2f; });
  with([](Options& o) { o.heads = 4, o.kv_heads = 2; });
  with([](Options& o) { o.scale = -0.2f; });
  with([](Options& o) { o.scale = 3.0f; });
}

TEST(AttentionBf16Errors, OfLongSequences) {
  for (const bool causal : {false, true}) {
    Options o = one_sequence(1025, causal ? 1025 : 257, 64);
    o.heads = 1;
    if (causal) o.right = 0;
    check_errors(o, 9, {available_kernels().back()});
  }
}

// AVX-512 without the dot product of pairs widens, too; nobody gets there where has_16_bit_dot().
TEST(AttentionBf16Errors, WidenedByAvx512AsByAvx2) {
  if (!runs_here(KernelSet::avx512)) GTEST_SKIP();
  Options o = one_sequence(97, 203, 40);
  o.right = 0;
  const Bf16Call c(o);
  const AttentionInputs biases{};
  const ExecutionOwner wide(2, KernelSet::avx512), narrow(2, KernelSet::avx2);
  const Bf16Result want = run(c, narrow.get());
  Bf16Result got(c);
  const AttentionExtents x = c.f32.extents();
  const AttentionInputsBf16 in = c.inputs();
  const AttentionGradientsBf16 d{got.d_q.data(), got.d_k.data(), got.d_v.data()};
  cpu::avx512::bf16::attention_forward(
      {wide.get(), x, in, biases, got.out.data(), got.lse.data(), c.f32.q_rows});
  cpu::avx512::bf16::attention_backward(
      {wide.get(), x, in, biases, got.out.data(), got.lse.data(), c.f32.q_rows, c.d_out.data(), d});
  expect_close(got, want, o);
}

}  // namespace
}  // namespace fovea::kernels::test
