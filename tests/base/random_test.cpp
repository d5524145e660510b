#include "fovea/base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace fovea {
namespace {

TEST(Random, IsAFunctionOfItsCounterAlone) {
  const auto key = RandomKey::of(7, 3, site::shuffle);
  EXPECT_EQ(random_word(key, 11), random_word(key, 11));
  EXPECT_NE(random_word(key, 11), random_word(RandomKey::of(7, 4, site::shuffle), 11));
  EXPECT_NE(random_word(key, 11), random_word(RandomKey::of(8, 3, site::shuffle), 11));
  EXPECT_NE(random_word(key, 11), random_word(RandomKey::of(7, 3, site::sample), 11));
}

TEST(Random, NormalHasMeanZeroAndVarianceOne) {
  const auto key = RandomKey::of(1, 0, site::initialise);
  constexpr int count = 200000;
  double sum = 0, squares = 0;
  for (int i = 0; i < count; ++i) {
    const double x = normal(key, static_cast<std::uint64_t>(i));
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / count, 0.0, 4.0 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 1.0, 4.0 * std::sqrt(2.0 / count));
}

TEST(Random, DropoutKeepsTheShareItSays) {
  for (const float p : {0.1f, 0.3f, 0.5f}) {
    const Dropout dropout{p, RandomKey::of(5, 1, 1000)};
    constexpr int count = 200000;
    int kept = 0;
    for (int i = 0; i < count; ++i) kept += dropout.keeps(static_cast<std::uint64_t>(i));
    EXPECT_NEAR(kept / double(count), 1.0 - p, 4.0 * std::sqrt(p * (1 - p) / count));
    EXPECT_NEAR(dropout.scale(), 1.0 / (1.0 - p), 1e-4);
  }
}

}  // namespace
}  // namespace fovea
