#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/kernels/execution.h"

namespace fovea::test {

/// `count` standard normals times `scale`, a function of the seed.
template <class Real = float>
std::vector<Real> normals(std::int64_t count, std::uint64_t seed, double scale = 1.0) {
  std::vector<Real> out(static_cast<std::size_t>(count));
  const auto key = RandomKey::of(seed, 0, site::initialise);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<Real>(scale * normal(key, i));
  return out;
}

/// Floats that begin `offset` floats after an allocation and have untouched neighbours on both sides.
class Unaligned {
 public:
  Unaligned(std::vector<float> values, std::size_t offset) : offset_(offset + 1), all_(offset + 1, guard) {
    all_.insert(all_.end(), values.begin(), values.end());
    all_.push_back(guard);
  }
  Unaligned(std::int64_t count, std::size_t offset)
      : Unaligned(std::vector<float>(static_cast<std::size_t>(count), -77.0f), offset) {}
  float* data() { return all_.data() + offset_; }
  std::vector<float> values() const {
    EXPECT_EQ(all_[offset_ - 1], guard);
    EXPECT_EQ(all_.back(), guard);
    return {all_.begin() + static_cast<std::ptrdiff_t>(offset_), all_.end() - 1};
  }

 private:
  static constexpr float guard = 12345.5f;
  std::size_t offset_;
  std::vector<float> all_;
};

/// Expects |actual - expected| <= tolerance * max(1, |expected|), and NaN and infinity where they are
/// expected.
template <class Expected>
void expect_near(const std::vector<float>& actual, const std::vector<Expected>& expected, double tolerance,
                 const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double a = actual[i], e = static_cast<double>(expected[i]);
    if (std::isnan(e) || std::isinf(e))
      ASSERT_TRUE(std::isnan(e) ? std::isnan(a) : a == e)
          << what << " [" << i << "] is " << a << ", expected " << e;
    else
      ASSERT_NEAR(a, e, tolerance * std::max(1.0, std::abs(e))) << what << " [" << i << "]";
  }
}

/// Lengths around one, two and several vectors of every set.
inline std::vector<std::int64_t> awkward_lengths() {
  return {1, 2, 3, 7, 8, 9, 15, 16, 17, 19, 31, 33, 35, 127, 128, 129, 1023, 1025, 2051};
}

inline std::vector<double> widen(const std::vector<float>& x) { return {x.begin(), x.end()}; }

}  // namespace fovea::test
