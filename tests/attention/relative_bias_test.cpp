#include "fovea/attention/relative_bias.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/attention/message.h"
#include "tests/ops/gradient_check.h"

namespace fovea::attention {
namespace {

using test::message;
using test::says;

TEST(Distances, AreThoseOfEveryPair) {
  for (const std::int64_t T : {1, 3, 8})
    for (const std::int64_t S : {1, 5, 8})
      for (const bool to_end : {true, false}) {
        const auto distances = Distances::between(T, S, to_end);
        std::int64_t least = 1000, most = -1000;
        for (std::int64_t t = 0; t < T; ++t)
          for (std::int64_t j = 0; j < S; ++j) {
            const std::int64_t i = to_end ? t + S - T : t;
            least = std::min(least, i - j);
            most = std::max(most, i - j);
          }
        EXPECT_EQ(distances.least, least);
        EXPECT_EQ(distances.most, most);
        EXPECT_EQ(distances.zero(), -least);
      }
  EXPECT_EQ(Distances::between(0, 0).count(), 1);
  EXPECT_TRUE(says(message([] { Distances::between(-1, 4); }), "T = -1 queries and S = 4 keys"));
}

TEST(Alibi, SlopesAreThePapersForPowersOfTwoAndItsRuleBetween) {
  EXPECT_EQ(alibi_slopes(8),
            (std::vector<float>{0x1p-1f, 0x1p-2f, 0x1p-3f, 0x1p-4f, 0x1p-5f, 0x1p-6f, 0x1p-7f, 0x1p-8f}));
  EXPECT_EQ(alibi_slopes(1), std::vector<float>{0x1p-8f});
  for (const std::int64_t H : {3, 5, 12, 20, 71}) {
    const auto slopes = alibi_slopes(H);
    ASSERT_EQ(static_cast<std::int64_t>(slopes.size()), H);
    std::int64_t power = 1;
    while (2 * power <= H) power *= 2;
    const auto below = alibi_slopes(power), above = alibi_slopes(2 * power);
    for (std::int64_t h = 0; h < H; ++h) {
      const auto i = static_cast<std::size_t>(h), p = static_cast<std::size_t>(power);
      EXPECT_EQ(slopes[i], h < power ? below[i] : above[2 * (i - p)]) << H << " heads, " << h;
    }
  }
  // 12 heads, from the paper's formula by hand: 8 as above, then 2^-0.5, 2^-1.5, 2^-2.5, 2^-3.5.
  const auto twelve = alibi_slopes(12);
  for (int k = 0; k < 4; ++k)
    EXPECT_FLOAT_EQ(twelve[static_cast<std::size_t>(8 + k)], std::exp2(-0.5f - float(k)));
  EXPECT_TRUE(says(message([] { alibi_slopes(0); }), "H = 0"));
}

TEST(Alibi, FallsWithTheDistance) {
  const auto bias = alibi(2, {-3, 4});
  EXPECT_EQ(bias.values.shape(), (Shape{2, 8}));
  for (std::int64_t h = 0; h < 2; ++h)
    for (std::int64_t d = -3; d <= 4; ++d)
      EXPECT_FLOAT_EQ(bias.values.f32()[h * 8 + 3 + d], -float(std::abs(d)) * (h ? 0x1p-8f : 0x1p-4f));
}

// The bucket from whole numbers alone: bucket exact + k holds distances with away >= exact *
// (max/exact)^(k/n), that is away^n exact^k >= exact^n max^k, in long double far from its limits.
std::int64_t bucket_by_powers(std::int64_t away, std::int64_t side, std::int64_t max_distance) {
  const std::int64_t exact = side / 2, n = side - exact;
  if (away < exact) return away;
  std::int64_t k = 0;
  while (k + 1 < n) {
    const long double border =
        exact * std::pow(static_cast<long double>(max_distance) / static_cast<long double>(exact),
                         static_cast<long double>(k + 1) / static_cast<long double>(n));
    if (static_cast<long double>(away) < border - 1e-9L) break;
    ++k;
  }
  return exact + k;
}

TEST(T5Buckets, AreThoseOfT5) {
  const T5Buckets both{};  // 32 up to 128, both ways: T5's encoder
  for (const auto& [distance, bucket] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {0, 0},    {1, 1},    {7, 7},     {8, 8},   {11, 8},  {12, 9},  {15, 9},   {16, 10},   {22, 10},
           {23, 11},  {31, 11},  {32, 12},   {45, 12}, {46, 13}, {63, 13}, {64, 14},  {90, 14},   {91, 15},
           {127, 15}, {128, 15}, {5000, 15}, {-1, 17}, {-7, 23}, {-8, 24}, {-91, 31}, {-5000, 31}})
    EXPECT_EQ(both(distance), bucket) << distance;
  const T5Buckets back{32, 128, false};  // its decoder
  EXPECT_EQ(back(-5), 0);
  EXPECT_EQ(back(15), 15);
  EXPECT_EQ(back(16), 16);
  EXPECT_EQ(back(5000), 31);
  for (const auto& [buckets, furthest] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{32, 128}, {64, 256}, {16, 100}, {20, 57}})
    for (std::int64_t d = 0; d < 2 * furthest; ++d) {
      EXPECT_EQ((T5Buckets{buckets, furthest, false}(d)), bucket_by_powers(d, buckets, furthest))
          << buckets << " " << d;
      EXPECT_EQ((T5Buckets{buckets, furthest, true}(d)), bucket_by_powers(d, buckets / 2, furthest));
      if (d > 0) {
        EXPECT_EQ((T5Buckets{buckets, furthest, true}(-d)),
                  buckets / 2 + bucket_by_powers(d, buckets / 2, furthest));
      }
    }
}

TEST(T5Buckets, EachSettingCountsAndMustFit) {
  EXPECT_NE((T5Buckets{32, 128, true}(20)), (T5Buckets{16, 128, true}(20)));
  EXPECT_NE((T5Buckets{32, 128, true}(20)), (T5Buckets{32, 64, true}(20)));
  EXPECT_NE((T5Buckets{32, 128, true}(20)), (T5Buckets{32, 128, false}(20)));
  EXPECT_TRUE(says(message([] { T5Buckets{33, 128, true}(1); }), "33 buckets"));
  EXPECT_TRUE(says(message([] { T5Buckets{2, 128, true}(1); }), "2 buckets"));
  EXPECT_TRUE(says(message([] { T5Buckets{32, 8, true}(1); }), "distance 8"));
}

class LearnedBias : public testing::Test {
 protected:
  ops::Context context() {
    ops::Context ctx;
    ctx.exec = owner.get();
    return ctx;
  }
  kernels::ExecutionOwner owner{1};
  nn::Parameters parameters;
  nn::Builder builder{parameters};
};

TEST_F(LearnedBias, T5LooksItsBucketsUp) {
  const T5Bias bias(builder, "encoder.relative_attention_bias", 3, {8, 20, true});
  parameters.allocate(1);
  EXPECT_EQ(parameters.all().front().name, "encoder.relative_attention_bias.weight");
  Tensor table = parameters.all().front().value;
  for (std::int64_t i = 0; i < table.elements(); ++i) table.f32()[i] = float(i);
  const auto made = bias(context(), Distances::between(9, 30));
  const std::int64_t count = made.distances.count();
  EXPECT_EQ(count, 38);
  const T5Buckets buckets{8, 20, true};
  for (std::int64_t h = 0; h < 3; ++h)
    for (std::int64_t d = made.distances.least; d <= made.distances.most; ++d)
      EXPECT_EQ(made.values.f32()[h * count + made.distances.zero() + d], float(buckets(d) * 3 + h));
}

TEST_F(LearnedBias, ClippedSharesWhatIsFar) {
  const ClippedBias bias(builder, "bias", 2, 3);
  parameters.allocate(1);
  Tensor table = parameters.all().front().value;
  ASSERT_EQ(table.shape(), (Shape{7, 2}));
  for (std::int64_t i = 0; i < table.elements(); ++i) table.f32()[i] = float(i);
  const auto made = bias(context(), {-5, 4});
  const std::vector<std::int64_t> rows{0, 0, 0, 1, 2, 3, 4, 5, 6, 6};
  for (std::size_t d = 0; d < rows.size(); ++d)
    for (std::int64_t h = 0; h < 2; ++h)
      EXPECT_EQ(made.values.f32()[h * 10 + static_cast<std::int64_t>(d)], float(rows[d] * 2 + h));
  EXPECT_TRUE(says(message([&] { ClippedBias(builder, "b", 2, -1); }), "distance -1"));
  EXPECT_TRUE(says(message([&] { ClippedBias(builder, "b", 0, 1); }), "H = 0"));
}

TEST_F(LearnedBias, H01_GradientsAreSummedIntoTheirBuckets) {
  ops::check_gradients(
      [](const ops::Context& ctx, const std::vector<Tensor>& in) {
        return expand_buckets(ctx, in[0], {-12, 15}, T5Buckets{8, 20, true}).values;
      },
      {ops::random_tensor({8, 3}, 1)}, context());
  EXPECT_TRUE(
      says(message([&] {
             expand_buckets(context(), ops::random_tensor({7, 3}, 1), {-12, 15}, T5Buckets{8, 20, true});
           }),
           "bucket 7 of K = 7"));
}

}  // namespace
}  // namespace fovea::attention
