#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace fovea::test {

/// Expects `gradient` to be the gradient of loss() at x, by central differences in double.
/// loss() reads x; the error of a difference is about 1e-10 * |loss| + third derivative * 1e-10.
template <class Loss>
void expect_gradient(const std::string& what, std::vector<double>& x, const std::vector<double>& gradient,
                     const Loss& loss, double tolerance = 1e-6) {
  ASSERT_EQ(x.size(), gradient.size()) << what;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x[i], h = 1e-5 * std::max(1.0, std::abs(at));
    x[i] = at + h;
    const double above = loss();
    x[i] = at - h;
    const double below = loss();
    x[i] = at;
    const double slope = (above - below) / (2 * h);
    ASSERT_NEAR(gradient[i], slope, tolerance * std::max(1.0, std::abs(slope))) << what << " [" << i << "]";
  }
}

}  // namespace fovea::test
