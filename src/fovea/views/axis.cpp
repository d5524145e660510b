#include "fovea/views/axis.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "fovea/base/decimal.h"

namespace fovea::views {
namespace {

double round_step(double span, int intervals) {
  const double raw = span / std::max(intervals, 1);
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * 0.999999) return factor * power;
  }
  return 10 * power;
}

std::pair<double, double> drawable(double minimum, double maximum) {
  constexpr double largest = 1e12;
  if (!std::isfinite(minimum) || !std::isfinite(maximum) || minimum > maximum) return {0.0, 1.0};
  minimum = std::clamp(minimum, -largest, largest);
  maximum = std::clamp(maximum, -largest, largest);
  const double least = 1e-6 * std::max({1.0, std::fabs(minimum), std::fabs(maximum)});
  if (maximum - minimum < least) return {minimum, minimum + std::max(1.0, std::fabs(minimum))};
  return {minimum, maximum};
}

}  // namespace

Axis Axis::between(double minimum, double maximum, int intervals) {
  const auto [low, high] = drawable(minimum, maximum);
  return {low, high, round_step(high - low, intervals)};
}

Axis Axis::around(double minimum, double maximum, int intervals) {
  const Axis tight = between(minimum, maximum, intervals);
  return {std::floor(tight.low / tight.step + 1e-9) * tight.step,
          std::ceil(tight.high / tight.step - 1e-9) * tight.step, tight.step};
}

Axis Axis::divided(double minimum, double maximum, int intervals) {
  intervals = std::max(intervals, 2);  // one alone could not reach both sides of 0
  const auto [low, high] = drawable(minimum, maximum);
  double step = round_step(high - low, intervals);
  double start = std::floor(low / step + 1e-9) * step;
  while (start + intervals * step < high * (1 - 1e-12)) {
    step = round_step(1.01 * step, 1);
    start = std::floor(low / step + 1e-9) * step;
  }
  return {start, start + intervals * step, step};
}

std::vector<double> Axis::ticks() const {
  std::vector<double> out;
  const auto first = static_cast<long long>(std::ceil(low / step - 1e-9));
  const auto last = static_cast<long long>(std::floor(high / step + 1e-9));
  for (long long i = first; i <= last; ++i) out.push_back(static_cast<double>(i) * step);
  return out;
}

std::string Axis::label(double tick) const {
  const int decimals = std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 6);
  if (decimals > 0) return fixed(tick, decimals);
  return with_commas(std::llround(tick));
}

std::string with_commas(long long number) {
  std::string digits = std::to_string(number < 0 ? -number : number);
  for (auto at = static_cast<long long>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  }
  if (number < 0) digits.insert(0, 1, '-');
  return digits;
}

}  // namespace fovea::views
