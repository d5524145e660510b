#include "fovea/views/colour.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fovea::views {
namespace {

TEST(Colour, ScalesRiseInLightness) {
  for (int i = 1; i <= 100; ++i) {
    EXPECT_GT(lightness(ember(i / 100.0)), lightness(ember((i - 1) / 100.0)) - 0.01) << i;
    EXPECT_GE(lightness(ember_indexed(i / 100.0)), lightness(ember_indexed((i - 1) / 100.0)) - 0.01) << i;
    EXPECT_LE(lightness(ink(i / 100.0)), lightness(ink((i - 1) / 100.0))) << i;
  }
}

TEST(Colour, WeightsOutsideTakeTheNearestEnd) {
  EXPECT_EQ(ember(-1), ember(0));
  EXPECT_EQ(ember(7), ember(1));
  EXPECT_EQ(ember(NAN), ember(0));
  EXPECT_EQ(ember_indexed(INFINITY), ember_indexed(1));
  EXPECT_EQ(ember_indexed(NAN), ember_indexed(0));
  EXPECT_EQ(emphasis(NAN), 0.0);
  EXPECT_EQ(emphasis(2), 1.0);
  EXPECT_GT(emphasis(0.1), 0.2);
}

TEST(Colour, StepsOfTheIndexedScaleAreColoursOfTheCube) {
  constexpr int levels[] = {0, 95, 135, 175, 215, 255};
  for (int i = 0; i <= 50; ++i) {
    const Colour colour = ember_indexed(i / 50.0);
    const int cube = nearest_indexed(colour) - 16;
    ASSERT_GE(cube, 0);
    EXPECT_EQ(levels[cube / 36], colour.red);
    EXPECT_EQ(levels[cube / 6 % 6], colour.green);
    EXPECT_EQ(levels[cube % 6], colour.blue);
  }
  EXPECT_EQ(nearest_indexed({128, 128, 128}), 244);
  EXPECT_EQ(nearest_indexed({0, 0, 0}), 16);
}

TEST(Colour, Hex) { EXPECT_EQ(hex({255, 0, 16}), "#ff0010"); }

}  // namespace
}  // namespace fovea::views
