#include "fovea/kernels/dropout.h"

#include <gtest/gtest.h>

#include <vector>

namespace fovea::kernels {
namespace {

void expect_multipliers(KernelSet set, const Dropout& dropout, std::uint64_t first, std::int64_t count) {
  std::vector<float> out(static_cast<std::size_t>(count) + 2, -1.0f);
  dropout_multipliers(set, dropout, first, count, out.data() + 1);
  EXPECT_EQ(out.front(), -1.0f);
  EXPECT_EQ(out.back(), -1.0f);
  for (std::int64_t i = 0; i < count; ++i)
    ASSERT_EQ(out[static_cast<std::size_t>(i) + 1], dropout.multiplier(first + static_cast<std::uint64_t>(i)))
        << name_of(set) << " p " << dropout.p << " first " << first << " count " << count << " i " << i;
}

TEST(DropoutMultipliers, EqualTheDefinitionFromAnyStart) {
  for (const auto set : available_kernels())
    for (const std::uint64_t first : {0ull, 1ull, 15ull, 16ull, 127ull, 128ull, 1000ull, (7ull << 40) + 3})
      for (const std::int64_t count : {0, 1, 15, 16, 17, 127, 128, 129, 700})
        expect_multipliers(set, {0.3f, RandomKey::of(99, 5, 1001)}, first, count);
}

TEST(DropoutMultipliers, EqualTheDefinitionAtTheEdgesOfP) {
  for (const auto set : available_kernels())
    for (const float p : {0.0f, 1e-6f, 0x1p-16f, 0.5f, 0.9f, 1.0f - 0x1p-16f, 1.0f - 0x1p-20f})
      expect_multipliers(set, {p, RandomKey::of(1, 2, 1003)}, 77, 400);
}

TEST(DropoutMultipliers, CarryTheCounterIntoItsUpperHalf) {
  // Block 2^32 begins at element 2^32 / 16 * 128; all four words of the key and counter are large here.
  const Dropout dropout{0.4f, RandomKey::of(0xfedcba9876543210ull, 0xffffffffu, 0xfffffff0u)};
  for (const auto set : available_kernels()) expect_multipliers(set, dropout, (1ull << 35) - 150, 400);
}

TEST(DropoutMultipliers, ChangeWithEveryPartOfTheKey) {
  const auto multipliers = [](const Dropout& dropout) {
    std::vector<float> out(256);
    dropout_multipliers(default_kernels(), dropout, 0, 256, out.data());
    return out;
  };
  const auto usual = multipliers({0.3f, RandomKey::of(1, 1, 1000)});
  EXPECT_NE(usual, multipliers({0.3f, RandomKey::of(2, 1, 1000)}));
  EXPECT_NE(usual, multipliers({0.3f, RandomKey::of(1ull << 32 | 1, 1, 1000)}));
  EXPECT_NE(usual, multipliers({0.3f, RandomKey::of(1, 2, 1000)}));
  EXPECT_NE(usual, multipliers({0.3f, RandomKey::of(1, 1, 1001)}));
  EXPECT_NE(usual, multipliers({0.4f, RandomKey::of(1, 1, 1000)}));
}

}  // namespace
}  // namespace fovea::kernels
