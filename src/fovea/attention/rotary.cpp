#include "fovea/attention/rotary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <string>
#include <utility>

#include "fovea/base/error.h"

namespace fovea::attention {
namespace {

void expect(bool holds, const char* setting, const std::string& what) {
  if (!holds) throw Error(Error::Kind::model, std::string("rotary positions: ") + setting, what);
}

void expect_sane(const RotarySettings& settings) {
  const RotaryScaling& s = settings.scaling;
  expect(settings.rotated > 0 && settings.rotated % 2 == 0, "rotated",
         std::to_string(settings.rotated) + " elements of a head cannot turn in pairs");
  expect(std::isfinite(settings.theta) && settings.theta > 1.0, "theta",
         std::to_string(settings.theta) + " is not above 1");
  if (s.rule == RotaryRule::none) return;
  expect(std::isfinite(s.factor) && s.factor >= 1.0, "factor", std::to_string(s.factor) + " is below 1");
  const bool by_base = s.rule == RotaryRule::ntk || s.rule == RotaryRule::dynamic;
  expect(!by_base || settings.rotated > 2, "rotated", "one pair has no base to stretch; ntk needs 4 or more");
  if (s.rule == RotaryRule::linear || s.rule == RotaryRule::ntk) return;
  expect(s.original_length > 0, "original length", std::to_string(s.original_length) + " tokens");
  if (s.rule == RotaryRule::yarn)
    expect(s.beta_slow > 0.0 && s.beta_fast >= s.beta_slow && std::isfinite(s.beta_fast), "beta",
           "fast " + std::to_string(s.beta_fast) + " must not be below slow " + std::to_string(s.beta_slow) +
               ", nor that 0");
  if (s.rule == RotaryRule::llama3)
    expect(s.low_frequency > 0.0 && s.high_frequency > s.low_frequency && std::isfinite(s.high_frequency),
           "frequency factors",
           "high " + std::to_string(s.high_frequency) + " must be above low " +
               std::to_string(s.low_frequency) + ", and that above 0");
}

/// How slow each pair is made by YaRN, 0 (as before) to 1 (by the whole factor): a ramp from the pair that
/// turns beta_fast times within the original length to the one that turns beta_slow times.
class YarnRamp {
 public:
  explicit YarnRamp(const RotarySettings& settings) {
    const RotaryScaling& s = settings.scaling;
    const double d = static_cast<double>(settings.rotated);
    const auto pair_that_turns = [&](double times) {
      return d * std::log(static_cast<double>(s.original_length) / (times * 2.0 * std::numbers::pi)) /
             (2.0 * std::log(settings.theta));
    };
    first_ = pair_that_turns(s.beta_fast);
    last_ = pair_that_turns(s.beta_slow);
    if (s.truncate) {
      first_ = std::floor(first_);
      last_ = std::ceil(last_);
    }
    first_ = std::max(first_, 0.0);
    last_ = std::min(last_, d - 1.0);
    if (first_ == last_) last_ += 0.001;
  }
  double operator()(double pair) const { return std::clamp((pair - first_) / (last_ - first_), 0.0, 1.0); }

 private:
  double first_ = 0.0, last_ = 0.0;
};

double llama3_frequency(const RotaryScaling& s, double w) {
  const double turns = static_cast<double>(s.original_length) * w / (2.0 * std::numbers::pi);
  if (turns > s.high_frequency) return w;
  if (turns < s.low_frequency) return w / s.factor;
  const double kept = (turns - s.low_frequency) / (s.high_frequency - s.low_frequency);
  return (1.0 - kept) * w / s.factor + kept * w;
}

double base_of(const RotarySettings& settings, std::int64_t length) {
  const RotaryScaling& s = settings.scaling;
  const double d = static_cast<double>(settings.rotated);
  if (s.rule == RotaryRule::ntk) return settings.theta * std::pow(s.factor, d / (d - 2.0));
  if (s.rule == RotaryRule::dynamic && length > s.original_length) {
    const double stretch = static_cast<double>(length) / static_cast<double>(s.original_length);
    return settings.theta * std::pow(s.factor * stretch - (s.factor - 1.0), d / (d - 2.0));
  }
  return settings.theta;
}

}  // namespace

RotaryRule rotary_rule(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, RotaryRule>, 6> rules{{{"default", RotaryRule::none},
                                                                          {"linear", RotaryRule::linear},
                                                                          {"ntk", RotaryRule::ntk},
                                                                          {"dynamic", RotaryRule::dynamic},
                                                                          {"yarn", RotaryRule::yarn},
                                                                          {"llama3", RotaryRule::llama3}}};
  for (const auto& [known, rule] : rules)
    if (known == name) return rule;
  throw Error(Error::Kind::model, "rope_scaling", "unknown rope_type '" + printable(name) + "'",
              "known are default, linear, ntk, dynamic, yarn and llama3");
}

std::vector<double> rotary_frequencies(const RotarySettings& settings, std::int64_t length) {
  expect_sane(settings);
  const RotaryScaling& s = settings.scaling;
  const double base = base_of(settings, length), d = static_cast<double>(settings.rotated);
  std::vector<double> frequencies(static_cast<std::size_t>(settings.rotated / 2));
  for (std::size_t e = 0; e < frequencies.size(); ++e)
    frequencies[e] = std::pow(base, -2.0 * static_cast<double>(e) / d);
  if (s.rule == RotaryRule::linear)
    for (double& w : frequencies) w /= s.factor;
  if (s.rule == RotaryRule::llama3)
    for (double& w : frequencies) w = llama3_frequency(s, w);
  if (s.rule == RotaryRule::yarn) {
    const YarnRamp slowed(settings);
    for (std::size_t e = 0; e < frequencies.size(); ++e) {
      const double share = slowed(static_cast<double>(e));
      frequencies[e] *= share / s.factor + (1.0 - share);
    }
  }
  return frequencies;
}

double rotary_attention_factor(const RotaryScaling& s) {
  if (s.rule != RotaryRule::yarn) return 1.0;
  if (s.attention_factor != 0.0) return s.attention_factor;
  const auto grown = [&](double by) { return s.factor <= 1.0 ? 1.0 : 0.1 * by * std::log(s.factor) + 1.0; };
  if (s.mscale != 0.0 && s.mscale_all_widths != 0.0) return grown(s.mscale) / grown(s.mscale_all_widths);
  return grown(1.0);
}

namespace {

// A row for each position, angle(position, frequency) radians.
template <class Angle>
ops::RotaryTables tables_of(const RotarySettings& settings, std::span<const std::int32_t> positions,
                            std::int64_t length, const Angle& angle) {
  const auto frequencies = rotary_frequencies(settings, length);
  const double factor = rotary_attention_factor(settings.scaling);
  const Shape shape{std::ssize(positions), settings.rotated / 2};
  ops::RotaryTables tables{Tensor::empty(shape), Tensor::empty(shape), settings.interleaved};
  float *cos = tables.cos.f32(), *sin = tables.sin.f32();
  for (const std::int32_t p : positions) {
    for (const double w : frequencies) {
      const double turned = angle(p, w);
      *cos++ = static_cast<float>(factor * std::cos(turned));
      *sin++ = static_cast<float>(factor * std::sin(turned));
    }
  }
  return tables;
}

}  // namespace

ops::RotaryTables rotary_tables(const RotarySettings& settings, std::int64_t positions) {
  std::vector<std::int32_t> all(static_cast<std::size_t>(positions));
  std::iota(all.begin(), all.end(), 0);
  return tables_of(settings, all, positions,
                   [](std::int32_t p, double w) { return static_cast<double>(p) * w; });
}

ops::RotaryTables rotary_tables_at(const RotarySettings& settings, std::span<const std::int32_t> positions) {
  const std::int32_t last = positions.empty() ? 0 : *std::ranges::max_element(positions);
  return tables_of(settings, positions, last + 1, [](std::int32_t p, double w) -> double {
    return static_cast<float>(p) * static_cast<float>(w);
  });
}

}  // namespace fovea::attention
