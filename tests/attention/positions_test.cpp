#include "fovea/attention/positions.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fovea/ops/embed.h"
#include "tests/attention/message.h"
#include "tests/ops/gradient_check.h"

namespace fovea::attention {
namespace {

using test::message;
using test::says;

TEST(SinusoidalPositions, BothOrdersAreThePapersFormula) {
  for (const std::int64_t width : {1, 2, 7, 8}) {
    const Tensor halves = sinusoidal_positions(30, width);
    const Tensor pairs = sinusoidal_positions(30, width, SinusoidalOrder::interleaved);
    for (std::int64_t p = 0; p < 30; ++p) {
      for (std::int64_t c = 0; c < width; ++c) {
        const double angle = double(p) * std::exp(-std::log(10000.0) * double(c - c % 2) / double(width));
        const double expected = c % 2 ? std::cos(angle) : std::sin(angle);
        EXPECT_NEAR(pairs.f32()[p * width + c], expected, 1e-6);
        const std::int64_t at = c % 2 ? (width + 1) / 2 + c / 2 : c / 2;
        EXPECT_NEAR(halves.f32()[p * width + at], expected, 1e-6);
      }
    }
  }
}

class Learned : public testing::Test {
 protected:
  Learned() {
    parameters.allocate(5);
    ctx.exec = owner.get();
  }
  kernels::ExecutionOwner owner{1};
  nn::Parameters parameters;
  nn::Builder builder{parameters};
  LearnedPositions positions{builder, "decoder.embed_positions", 4, 3};
  ops::Context ctx;
};

TEST_F(Learned, AddsTheRowOfEachPosition) {
  const std::vector<std::int32_t> at{3, 0, 0};
  const Tensor x = ops::random_tensor({3, 3}, 1), y = positions(ctx, x, ops::ids_tensor(at));
  EXPECT_EQ(parameters.all().front().name, "decoder.embed_positions.weight");
  for (std::int64_t i = 0; i < 9; ++i) {
    const std::size_t row = static_cast<std::size_t>(i) / 3;
    EXPECT_FLOAT_EQ(y.f32()[i], x.f32()[i] + positions.table().f32()[at[row] * 3 + i % 3]);
  }
}

TEST_F(Learned, SaysWhichPositionLiesBeyondItsTable) {
  const Tensor x = ops::random_tensor({2, 3}, 1);
  const auto of = [&](std::vector<std::int32_t> at) {
    return message([&] { positions(ctx, x, ops::ids_tensor(at)); });
  };
  const std::string late = of({0, 4});
  EXPECT_TRUE(says(late, "decoder.embed_positions: row 1 stands at position 4")) << late;
  EXPECT_TRUE(says(late, "learned for 0 to 3")) << late;
  EXPECT_TRUE(says(of({-1, 0}), "position -1"));
  EXPECT_EQ(of({3, 3}), "");
}

TEST_F(Learned, H01_Gradient) {
  const std::vector<std::int32_t> at{3, 0, 3};
  ops::Context plain = ctx;
  ops::check_gradients(
      [&](const ops::Context& c, const std::vector<Tensor>& in) {
        for (auto& parameter : parameters.all()) parameter.value = in[1];
        return positions(c, in[0], ops::ids_tensor(at));
      },
      {ops::random_tensor({3, 3}, 1), ops::random_tensor({4, 3}, 2)}, plain);
}

}  // namespace
}  // namespace fovea::attention
