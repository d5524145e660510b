#pragma once

#include <string>
#include <vector>

namespace fovea::views {

/// A linear axis from `low` to `high` with ticks at round numbers: steps of 1, 2 or 5 times a power of ten.
struct Axis {
  double low = 0, high = 1, step = 1;

  /// The tightest round axis around [minimum, maximum] with about `intervals` intervals. Equal or not finite
  /// limits are widened to something that can be drawn.
  static Axis around(double minimum, double maximum, int intervals);
  /// A round axis around [minimum, maximum] with exactly `intervals` intervals (at least 2), so that two axes
  /// can share a grid.
  static Axis divided(double minimum, double maximum, int intervals);
  /// From `minimum` to `maximum` exactly, with ticks at round numbers between them.
  static Axis between(double minimum, double maximum, int intervals);

  std::vector<double> ticks() const;
  /// 0 at `low`, 1 at `high`.
  double place(double value) const { return (value - low) / (high - low); }
  /// A tick with as many decimals as the step needs, thousands apart by commas.
  std::string label(double tick) const;
};

/// "12,345"
std::string with_commas(long long number);

}  // namespace fovea::views
