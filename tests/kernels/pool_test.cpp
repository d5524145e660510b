#include "fovea/kernels/pool.h"

#include "fovea/kernels/reference/pool.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

TEST(Pool, PixelsAreTheReference) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(3, set);
    for (const std::int64_t C : {1, 2, 15, 16, 17, 64, 70, 131}) {
      for (const std::int64_t P : {1, 3, 64, 65, 200}) {
        const std::int64_t N = 2;
        auto x = normals(N * P * C, 1);
        for (auto& value : x) value = std::round(value * 4) / 4;  // equal largest pixels happen
        const auto wide = widen(x);
        std::vector<double> average(static_cast<std::size_t>(N * C)), maximum = average;
        std::vector<std::int32_t> which(average.size()), found(average.size());
        for (std::int64_t n = 0; n < N; ++n)
          reference::pool_pixels<double>({P, C, wide.data(), average.data(), maximum.data(), which.data()}, n,
                                         0, C);
        Unaligned means(N * C, 1), largest(N * C, 2);
        pool_pixels(owner.get(), N, P, C, x.data(), means.data(), largest.data(), found.data());
        expect_near(means.values(), average, 1e-6, "average");
        expect_near(largest.values(), maximum, 0, "maximum");
        EXPECT_EQ(found, which) << name_of(set) << " C " << C << " P " << P;
        Unaligned alone(N * C, 0);
        pool_pixels(owner.get(), N, P, C, x.data(), alone.data(), nullptr, nullptr);
        EXPECT_EQ(alone.values(), means.values());
      }
    }
  }
}

TEST(Pool, ChannelsAreTheReference) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(3, set);
    for (const std::int64_t C : {1, 2, 7, 8, 15, 16, 17, 40, 259}) {
      const std::int64_t rows = 90;
      auto x = normals(rows * C, 1);
      for (auto& value : x) value = std::round(value * 4) / 4 - 3;
      const auto wide = widen(x);
      std::vector<double> out(static_cast<std::size_t>(2 * rows));
      std::vector<std::int32_t> which(static_cast<std::size_t>(rows)), found = which;
      reference::pool_channels<double>({C, wide.data(), out.data(), which.data()}, 0, rows);
      Unaligned pooled(2 * rows, 1);
      pool_channels(owner.get(), rows, C, x.data(), pooled.data(), found.data());
      expect_near(pooled.values(), out, 2e-6, std::string(name_of(set)));
      EXPECT_EQ(found, which) << name_of(set) << " C " << C;
    }
  }
}

TEST(Pool, NaNIsLargestMinusInfinityIsFoundAndNoPixelsAreZero) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    for (const std::int64_t at : {0, 5, 40, 69}) {
      std::vector<float> x = normals(70, 1), pixels = x;
      x[static_cast<std::size_t>(at)] = NAN;
      float out[2], average, maximum;
      std::int32_t which = -7;
      pool_channels(owner.get(), 1, 70, x.data(), out, &which);
      EXPECT_TRUE(std::isnan(out[0]) && std::isnan(out[1])) << name_of(set);
      EXPECT_EQ(which, at) << name_of(set);
      pool_pixels(owner.get(), 1, 70, 1, x.data(), &average, &maximum, &which);
      EXPECT_TRUE(std::isnan(average) && std::isnan(maximum)) << name_of(set);
      EXPECT_EQ(which, at) << name_of(set);
    }
    const std::vector<float> low(20, -INFINITY);
    float out[2] = {}, value = 1.0f;
    std::int32_t which = -7;
    pool_channels(owner.get(), 1, 20, low.data(), out, &which);
    EXPECT_EQ(out[1], -INFINITY);
    EXPECT_EQ(which, 0);
    pool_pixels(owner.get(), 1, 0, 1, nullptr, &value, nullptr, nullptr);
    EXPECT_EQ(value, 0.0f);
  }
}

}  // namespace
}  // namespace fovea::kernels
