#include "fovea/attention/rollout.h"

#include <gtest/gtest.h>

#include <numeric>

#include "fovea/base/error.h"
#include "tests/attention/sample_recording.h"

namespace fovea::attention {
namespace {

void expect_near(const RecordedLayer& found, const std::vector<double>& expected) {
  const auto got = numbers(found);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-6) << i;
}

Recording labelled(std::vector<RecordedLayer> layers) {
  return {{"a", "b"}, {"<s>", "x"}, {"x", "</s>"}, std::move(layers)};
}

// Two layers of two tokens, by hand: A_0 = [1 0; .4 .6], A_1 = [.75 .25; .1 .9], rollout A_1 A_0.
TEST(Rollout, IsTheProductOfHalfAttentionAndHalfIdentity) {
  const auto recording = labelled(
      {layer_of(Side::encoder, 0, {1, 2, 2}, {1, 0, 0.8f, 0.2f}), layer_of(Side::encoder, 1, {2, 2, 2},
                                                                           {0.2f, 0.8f, 0, 1,  //
                                                                            0.8f, 0.2f, 0.4f, 0.6f})});
  expect_near(rollout(recording, Side::encoder, 0), {1, 0, 0.4, 0.6});
  const auto last = rollout(recording, Side::encoder);
  EXPECT_EQ(last.layer, 1);
  EXPECT_EQ(last.weights_HTS.shape(), (Shape{1, 2, 2}));
  expect_near(last, {0.75 + 0.25 * 0.4, 0.25 * 0.6, 0.1 + 0.9 * 0.4, 0.9 * 0.6});
}

// One encoder layer E = [1 0; .4 .6]; X_0 = C_0 E / 2; X_1 = (A_1 X_0 + C_1 E) / 2, rows divided by 3/4.
TEST(Rollout, BetweenTheSidesFollowsBothStacks) {
  const auto recording = labelled({layer_of(Side::encoder, 0, {1, 2, 2}, {1, 0, 0.8f, 0.2f}),
                                   layer_of(Side::decoder, 0, {1, 2, 2}, {1, 0, 0.5f, 0.5f}),
                                   layer_of(Side::decoder, 1, {1, 2, 2}, {1, 0, 0.5f, 0.5f}),
                                   layer_of(Side::cross, 0, {1, 2, 2}, {1, 0, 0, 1}),
                                   layer_of(Side::cross, 1, {1, 2, 2}, {0.5f, 0.5f, 0, 1})});
  expect_near(rollout(recording, Side::cross, 0), {1, 0, 0.4, 0.6});
  // Row 0: A X_0 = [.5 0], C E = [.7 .3]. Row 1: A X_0 = .25 [.5 0] + .75 [.2 .3], C E = [.4 .6].
  expect_near(rollout(recording, Side::cross),
              {(0.25 + 0.35) / 0.75, 0.15 / 0.75, (0.1375 + 0.2) / 0.75, (0.1125 + 0.3) / 0.75});
}

TEST(Rollout, OfOneAttentionAloneIsThatAttention) {
  const std::vector<float> weights{0.9f, 0.1f, 0.3f, 0.7f};
  const auto found = rollout(labelled({layer_of(Side::cross, 0, {1, 2, 2}, weights)}), Side::cross);
  expect_near(found, {weights.begin(), weights.end()});
}

TEST(Rollout, ARowThatSeesNothingKeepsItself) {
  const auto found = rollout(labelled({layer_of(Side::encoder, 0, {1, 2, 2}, {0, 0, 0, 1})}), Side::encoder);
  expect_near(found, {1, 0, 0, 1});
}

TEST(Rollout, RowsSumToOneAndADecoderSeesNoLaterToken) {
  const Recording recording = random_recording(4, 3, 7, 5);
  const auto all = rollouts(recording);
  ASSERT_EQ(all.size(), 12u);
  for (const auto& layer : all) {
    const std::int64_t T = layer.weights_HTS.dim(1), S = layer.weights_HTS.dim(2);
    for (std::int64_t t = 0; t < T; ++t) {
      const float* row = layer.weights_HTS.f32() + t * S;
      EXPECT_NEAR(std::accumulate(row, row + S, 0.0), 1.0, 1e-5);
      for (std::int64_t s = t + 1; layer.side == Side::decoder && s < S; ++s) EXPECT_EQ(row[s], 0.0f);
    }
  }
}

TEST(Rollout, NamesTheLayersThatThereAre) {
  const auto recording = labelled({layer_of(Side::cross, 0, {1, 2, 2}, {1, 0, 0, 1})});
  try {
    rollout(recording, Side::cross, 3);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::usage);
    EXPECT_NE(std::string(error.what()).find("no layer 3"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("0 to 0"), std::string::npos) << error.what();
  }
  EXPECT_THROW(rollout(recording, Side::encoder), Error);
}

}  // namespace
}  // namespace fovea::attention
