#include "fovea/attention/head_statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/attention/sample_recording.h"

namespace fovea::attention {
namespace {

HeadStatistics of(const std::vector<float>& weights, std::int64_t T, Side side) {
  return head_statistics(weights.data(), T, static_cast<std::int64_t>(weights.size()) / T, side);
}

TEST(HeadStatistics, OfAHeadThatLooksAtItself) {
  const auto found = of({1, 0, 0, 0, 1, 0, 0, 0, 1}, 3, Side::encoder);
  EXPECT_EQ(found.entropy, 0.0);
  EXPECT_EQ(found.spread, 0.0);
  EXPECT_EQ(found.distance, 0.0);
  EXPECT_EQ(found.diagonal, 1.0);
  EXPECT_NEAR(found.end, 1.0 / 3, 1e-9);  // the last row's own token
  EXPECT_NEAR(found.confidence, 2.0 / 3, 1e-9);
}

TEST(HeadStatistics, OfAHeadThatLooksAtAllAlike) {
  const float w = 0.25f;
  const auto found = of({w, w, w, w, w, w, w, w}, 2, Side::cross);
  EXPECT_NEAR(found.entropy, std::log(4.0), 1e-6);
  EXPECT_NEAR(found.spread, 1.0, 1e-6);
  EXPECT_NEAR(found.distance, (0 + 1 + 2 + 3) / 4.0, 1e-6);  // homes are 0 and 3
  EXPECT_NEAR(found.diagonal, 0.5, 1e-6);
  EXPECT_NEAR(found.end, 0.25, 1e-6);
  EXPECT_NEAR(found.confidence, 0.25, 1e-6);
}

TEST(HeadStatistics, OfADecoderCountWhatItCanSee) {
  // Row 0 can see one column alone; row 1 sees two alike: as spread as can be.
  const auto found = of({1, 0, 0.5f, 0.5f}, 2, Side::decoder);
  EXPECT_NEAR(found.entropy, std::log(2.0) / 2, 1e-6);
  EXPECT_NEAR(found.spread, 1.0, 1e-6);
  EXPECT_NEAR(found.end, (1.0 + 0.5) / 2, 1e-6);  // the start symbol
  EXPECT_NEAR(found.distance, 0.25, 1e-6);
}

TEST(HeadStatistics, RowsCountAsIfTheySummedToOneAndEmptyOnesNot) {
  const auto found = of({0.1f, 0.1f, 0, 0}, 2, Side::cross);
  EXPECT_NEAR(found.entropy, std::log(2.0), 1e-6);
  EXPECT_NEAR(found.end, 0.5, 1e-6);
}

TEST(HeadStatistics, OneTokenIsNoTrouble) {
  const auto found = of({1}, 1, Side::cross);
  EXPECT_EQ(found.entropy, 0.0);
  EXPECT_EQ(found.spread, 0.0);
  EXPECT_EQ(found.end, 1.0);
  EXPECT_EQ(found.confidence, 0.0);
}

TEST(HeadStatistics, NameEachLayerAndHead) {
  const auto all = head_statistics(random_recording(2, 3, 4, 5));
  ASSERT_EQ(all.size(), 3u * 2 * 3);
  EXPECT_EQ(all[4].side, Side::encoder);
  EXPECT_EQ(all[4].layer, 1);
  EXPECT_EQ(all[4].head, 1);
  for (const auto& head : all) {
    EXPECT_GT(head.entropy, 0.0);
    EXPECT_GT(head.spread, 0.0);
    EXPECT_LE(head.spread, 1.0);
    EXPECT_LE(head.diagonal, 1.0);
  }
}

TEST(ClearestLayer, PointsMostAtWords) {
  Recording recording{{"a", "b", "</s>"}, {"<s>"}, {"x"}, {}};
  const auto add = [&](int layer, const std::vector<float>& heads) {
    recording.layers.push_back(layer_of(Side::cross, layer, {2, 1, 3}, heads));
  };
  add(0, {0, 0, 1, 0, 0, 1});              // the end of sentence alone
  add(1, {0.5f, 0.5f, 0, 0.5f, 0.5f, 0});  // two words
  add(2, {0.9f, 0, 0.1f, 0, 0.9f, 0.1f});  // heads that disagree
  EXPECT_EQ(clearest_layer(recording, Side::cross)->layer, 1);
  EXPECT_EQ(clearest_layer(recording, Side::cross, 0)->layer, 2);
  EXPECT_EQ(clearest_layer(recording, Side::cross, 2), nullptr);
  EXPECT_EQ(clearest_layer(recording, Side::encoder), nullptr);
}

}  // namespace
}  // namespace fovea::attention
