#include "fovea/attention/rotary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <functional>

#include "tests/attention/message.h"
#include "tests/ops/gradient_check.h"

namespace fovea::attention {
namespace {

using test::message;
using test::says;

constexpr double pi = 3.14159265358979323846;

double plain_frequency(double theta, std::int64_t d, std::int64_t e) {
  return std::exp(-2.0 * double(e) / double(d) * std::log(theta));
}

TEST(RotaryFrequencies, None) {
  const auto w = rotary_frequencies({.rotated = 6, .theta = 500.0}, 0);
  ASSERT_EQ(w.size(), 3u);
  EXPECT_DOUBLE_EQ(w[0], 1.0);
  EXPECT_NEAR(w[1], 1.0 / std::cbrt(500.0), 1e-15);
  EXPECT_NEAR(w[2], 1.0 / (std::cbrt(500.0) * std::cbrt(500.0)), 1e-15);
}

TEST(RotaryFrequencies, LinearIsPositionsInterpolated) {
  RotarySettings settings{.rotated = 8};
  const auto plain = rotary_tables(settings, 41);
  settings.scaling = {.rule = RotaryRule::linear, .factor = 4.0};
  const auto stretched = rotary_tables(settings, 161);
  for (std::int64_t p = 0; p < 41; ++p)
    for (std::int64_t e = 0; e < 4; ++e) {
      EXPECT_NEAR(stretched.cos.f32()[4 * p * 4 + e], plain.cos.f32()[p * 4 + e], 1e-7);
      EXPECT_NEAR(stretched.sin.f32()[4 * p * 4 + e], plain.sin.f32()[p * 4 + e], 1e-7);
    }
}

// By NTK's own condition: the fastest pair stays, the slowest is interpolated by the whole factor.
TEST(RotaryFrequencies, NtkKeepsTheFirstPairAndStretchesTheLastByTheFactor) {
  const std::int64_t d = 64;
  const RotarySettings settings{.rotated = d, .scaling = {.rule = RotaryRule::ntk, .factor = 8.0}};
  const auto w = rotary_frequencies(settings, 0);
  EXPECT_DOUBLE_EQ(w.front(), 1.0);
  EXPECT_NEAR(w.back(), plain_frequency(10000.0, d, d / 2 - 1) / 8.0, 1e-15);
  const double ratio = w[1] / w[0];  // geometric all the way
  for (std::size_t e = 2; e < w.size(); ++e) EXPECT_NEAR(w[e] / w[e - 1], ratio, 1e-12);
}

TEST(RotaryFrequencies, DynamicStretchesByTheLengthBeyondTheOriginal) {
  const std::int64_t d = 32;
  RotarySettings settings{.rotated = d,
                          .scaling = {.rule = RotaryRule::dynamic, .factor = 2.0, .original_length = 100}};
  for (const std::int64_t length : {0, 50, 100})
    EXPECT_NEAR(rotary_frequencies(settings, length).back(), plain_frequency(10000.0, d, 15), 1e-15);
  // f L/L0 - (f - 1) = 2*2.5 - 1 = 4.
  EXPECT_NEAR(rotary_frequencies(settings, 250).back(), plain_frequency(10000.0, d, 15) / 4.0, 1e-15);
  settings.scaling.factor = 3.0;  // 3*2.5 - 2 = 5.5
  EXPECT_NEAR(rotary_frequencies(settings, 250).back(), plain_frequency(10000.0, d, 15) / 5.5, 1e-15);
}

TEST(RotaryFrequencies, YarnBlendsByTurnsWithinTheOriginalLength) {
  const std::int64_t d = 128;
  RotarySettings settings{.rotated = d,
                          .scaling = {.rule = RotaryRule::yarn, .factor = 16.0, .original_length = 4096}};
  const auto w = rotary_frequencies(settings, 0);
  // The ramp in the formula's other reading: the share kept by a pair falls linearly in e between the pairs
  // whose turns L0 w / 2 pi pass beta_fast and beta_slow. For Llama 2's numbers these are 20.9 and 45.03.
  const auto turns = [&](std::int64_t e) { return 4096.0 * plain_frequency(10000.0, d, e) / (2 * pi); };
  std::int64_t first = 0, last = 0;
  while (turns(first + 1) >= 32.0) ++first;
  while (turns(last) > 1.0) ++last;
  EXPECT_EQ(first, 20);
  EXPECT_EQ(last, 46);
  for (std::int64_t e = 0; e < d / 2; ++e) {
    const double slowed = std::clamp(double(e - first) / double(last - first), 0.0, 1.0);
    const double expected = plain_frequency(10000.0, d, e) * (slowed / 16.0 + 1.0 - slowed);
    EXPECT_NEAR(w[static_cast<std::size_t>(e)], expected, 1e-12 * expected) << e;
  }
  settings.scaling.truncate = false;
  const double start = d * std::log(4096.0 / (64 * pi)) / (2 * std::log(10000.0));
  const double end = d * std::log(4096.0 / (2 * pi)) / (2 * std::log(10000.0));
  const double slowed = (30.0 - start) / (end - start);
  EXPECT_NEAR(rotary_frequencies(settings, 0)[30],
              plain_frequency(10000.0, d, 30) * (slowed / 16.0 + 1.0 - slowed), 1e-12);
}

TEST(RotaryFrequencies, YarnsAttentionFactorMultipliesTheTables) {
  RotaryScaling s{.rule = RotaryRule::yarn, .factor = 16.0, .original_length = 64};
  EXPECT_NEAR(rotary_attention_factor(s), 1.2772588722239781, 1e-15);  // 0.1 ln 16 + 1
  const auto table = rotary_tables({.rotated = 4, .scaling = s}, 3);
  for (std::int64_t i = 0; i < 6; ++i)
    EXPECT_NEAR(std::hypot(table.cos.f32()[i], table.sin.f32()[i]), 1.2772588722239781, 1e-6);
  s.mscale = 0.707;  // alone it does not count
  EXPECT_NEAR(rotary_attention_factor(s), 1.2772588722239781, 1e-15);
  s.mscale_all_widths = 1.0;
  EXPECT_NEAR(rotary_attention_factor(s), (0.0707 * std::log(16.0) + 1) / (0.1 * std::log(16.0) + 1), 1e-15);
  s.attention_factor = 0.5;
  EXPECT_EQ(rotary_attention_factor(s), 0.5);
  s = {.rule = RotaryRule::yarn, .factor = 1.0, .original_length = 64};
  EXPECT_EQ(rotary_attention_factor(s), 1.0);
  EXPECT_EQ(rotary_attention_factor({.rule = RotaryRule::linear, .factor = 16.0}), 1.0);
}

TEST(RotaryFrequencies, Llama3BlendsByWavelength) {
  const std::int64_t d = 128;
  RotarySettings settings{.rotated = d,
                          .theta = 500000.0,
                          .scaling = {.rule = RotaryRule::llama3,
                                      .factor = 8.0,
                                      .original_length = 8192,
                                      .low_frequency = 1.0,
                                      .high_frequency = 4.0}};
  const auto w = rotary_frequencies(settings, 0);
  int kept = 0, blended = 0, slowed = 0;
  for (std::int64_t e = 0; e < d / 2; ++e) {
    const double plain = plain_frequency(500000.0, d, e), wavelength = 2 * pi / plain;
    double expected = plain;
    if (wavelength < 2048.0) ++kept;
    if (wavelength > 8192.0) expected = plain / 8.0, ++slowed;
    if (wavelength >= 2048.0 && wavelength <= 8192.0) {
      const double smooth = (8192.0 / wavelength - 1.0) / 3.0;
      expected = (1 - smooth) * plain / 8.0 + smooth * plain;
      ++blended;
    }
    EXPECT_NEAR(w[static_cast<std::size_t>(e)], expected, 1e-12 * expected) << e;
  }
  EXPECT_GT(kept, 20);
  EXPECT_GT(blended, 4);
  EXPECT_GT(slowed, 20);
}

TEST(RotaryFrequencies, EverySettingCounts) {
  const RotarySettings yarn{.rotated = 64,
                            .scaling = {.rule = RotaryRule::yarn, .factor = 4.0, .original_length = 512}};
  const RotarySettings llama{.rotated = 64,
                             .scaling = {.rule = RotaryRule::llama3, .factor = 4.0, .original_length = 512}};
  const auto changes = [](RotarySettings settings, const std::function<void(RotarySettings&)>& change) {
    const auto before = rotary_frequencies(settings, 64);
    change(settings);
    return rotary_frequencies(settings, 64) != before;
  };
  for (const auto& settings : {yarn, llama}) {
    EXPECT_TRUE(changes(settings, [](auto& s) { s.theta = 20000.0; }));
    EXPECT_TRUE(changes(settings, [](auto& s) { s.rotated = 62; }));
    EXPECT_TRUE(changes(settings, [](auto& s) { s.scaling.factor = 5.0; }));
    EXPECT_TRUE(changes(settings, [](auto& s) { s.scaling.original_length = 2048; }));
  }
  EXPECT_TRUE(changes(yarn, [](auto& s) { s.scaling.beta_fast = 16.0; }));
  EXPECT_TRUE(changes(yarn, [](auto& s) { s.scaling.beta_slow = 2.0; }));
  EXPECT_TRUE(changes(yarn, [](auto& s) { s.scaling.truncate = false; }));
  EXPECT_TRUE(changes(llama, [](auto& s) { s.scaling.low_frequency = 2.0; }));
  EXPECT_TRUE(changes(llama, [](auto& s) { s.scaling.high_frequency = 8.0; }));
}

// R(p) q . R(s) k depends on p - s alone, for whole heads and for a part of them, in both layouts; and in
// the paper's form: multiplication of complex numbers by e^{i p w}.
TEST(RotaryTables, ProductsDependOnTheDistanceAlone) {
  const kernels::ExecutionOwner owner(1);
  ops::Context ctx;
  ctx.exec = owner.get();
  const std::int64_t E = 12, positions = 40;
  for (const bool interleaved : {false, true}) {
    for (const std::int64_t rotated : {4, 12}) {
      const RotarySettings settings{.rotated = rotated, .theta = 100.0, .interleaved = interleaved};
      const auto tables = rotary_tables(settings, positions);
      const Tensor q = ops::random_tensor({1, E}, 1), k = ops::random_tensor({1, E}, 2);
      const auto at = [&](const Tensor& x, std::int32_t p) {
        Tensor position = Tensor::empty({1}, DType::i32);
        *position.i32() = p;
        return ops::rotary(ctx, {x, 0}, tables, position, {1, E});
      };
      const auto product = [&](std::int32_t p, std::int32_t s) {
        const Tensor a = at(q, p), b = at(k, s);
        double sum = 0;
        for (std::int64_t e = 0; e < E; ++e) sum += double(a.f32()[e]) * b.f32()[e];
        return sum;
      };
      EXPECT_GT(std::abs(product(7, 3) - product(7, 5)), 1e-3);
      for (std::int32_t p = 4; p < positions; p += 5) EXPECT_NEAR(product(p, p - 4), product(4, 0), 1e-5);

      const Tensor turned = at(q, 9);
      for (std::int64_t e = 0; e < rotated / 2; ++e) {
        const std::int64_t i = interleaved ? 2 * e : e, j = interleaved ? i + 1 : i + rotated / 2;
        const std::complex<double> z{q.f32()[i], q.f32()[j]};
        const auto expected = z * std::polar(1.0, 9.0 * plain_frequency(100.0, rotated, e));
        EXPECT_NEAR(turned.f32()[i], expected.real(), 1e-6);
        EXPECT_NEAR(turned.f32()[j], expected.imag(), 1e-6);
      }
      for (std::int64_t e = rotated; e < E; ++e) EXPECT_EQ(turned.f32()[e], q.f32()[e]);
    }
  }
}

TEST(RotaryTables, AreExactFarOut) {  // angles in double: a float's would be off by 0.03 at a million
  const auto tables = rotary_tables({.rotated = 2}, 1000001);
  EXPECT_NEAR(tables.cos.f32()[1000000], std::cos(1e6), 1e-7);
  EXPECT_NEAR(tables.sin.f32()[1000000], std::sin(1e6), 1e-7);
}

TEST(RotaryFrequencies, NamesTheSettingThatIsWrong) {
  const auto of = [](RotarySettings settings) { return message([&] { rotary_frequencies(settings, 1); }); };
  EXPECT_TRUE(says(of({.rotated = 3}), "rotated: 3"));
  EXPECT_TRUE(says(of({.rotated = 0}), "rotated"));
  EXPECT_TRUE(says(of({.rotated = 4, .theta = NAN}), "theta"));
  EXPECT_TRUE(says(of({.rotated = 4, .scaling = {.rule = RotaryRule::linear, .factor = 0.5}}), "factor"));
  EXPECT_TRUE(says(of({.rotated = 2, .scaling = {.rule = RotaryRule::ntk}}), "one pair"));
  EXPECT_TRUE(says(of({.rotated = 4, .scaling = {.rule = RotaryRule::yarn}}), "original length: 0"));
  EXPECT_TRUE(
      says(of({.rotated = 4, .scaling = {.rule = RotaryRule::yarn, .original_length = 9, .beta_fast = 0.5}}),
           "beta"));
  EXPECT_TRUE(says(
      of({.rotated = 4, .scaling = {.rule = RotaryRule::llama3, .original_length = 9, .high_frequency = 1}}),
      "frequency factors"));
  EXPECT_EQ(rotary_rule("default"), RotaryRule::none);
  EXPECT_EQ(rotary_rule("yarn"), RotaryRule::yarn);
  EXPECT_TRUE(says(message([] { rotary_rule("su"); }), "unknown rope_type 'su'"));
}

TEST(RotaryTablesAt, AreRowsOfTheTables) {
  const RotarySettings settings{.rotated = 8, .theta = 500.0};
  const auto all = rotary_tables(settings, 60);
  const std::vector<std::int32_t> positions{3, 59, 0, 3};
  const auto some = rotary_tables_at(settings, positions);
  ASSERT_EQ(some.positions(), 4);
  for (std::int64_t row = 0; row < 4; ++row)
    for (std::int64_t e = 0; e < 4; ++e) {
      const std::int64_t at = positions[static_cast<std::size_t>(row)] * 4 + e;
      EXPECT_NEAR(some.cos.f32()[row * 4 + e], all.cos.f32()[at], 60 * 0x1p-23);
      EXPECT_NEAR(some.sin.f32()[row * 4 + e], all.sin.f32()[at], 60 * 0x1p-23);
    }
  EXPECT_EQ(rotary_tables_at(settings, {}).positions(), 0);
}

}  // namespace
}  // namespace fovea::attention
