#include "fovea/attention/flow.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>

#include "fovea/attention/rollout.h"
#include "fovea/base/error.h"
#include "tests/attention/sample_recording.h"

namespace fovea::attention {
namespace {

class Flow : public testing::Test {
 protected:
  RecordedLayer of(const Recording& recording, Side side, int through = -1) {
    return flow(owner_.get(), recording, side, through);
  }
  kernels::ExecutionOwner owner_{2};
};

void expect_rows(const RecordedLayer& found, std::vector<std::vector<double>> rows) {
  const auto got = numbers(found);
  std::size_t i = 0;
  for (const auto& row : rows)
    for (const double flow : row)
      EXPECT_NEAR(got.at(i++), flow / std::accumulate(row.begin(), row.end(), 0.0), 1e-6) << i;
}

Recording labelled(std::vector<RecordedLayer> layers) {
  return {{"a", "b"}, {"<s>", "x"}, {"x", "</s>"}, std::move(layers)};
}

// A_0 = [1 0; .4 .6], A_1 = [.75 .25; .1 .9]. From token 0 to input 0: min(.75, 1) by token 0 and
// min(.25, .4) by token 1, and so on.
TEST_F(Flow, TakesTheNarrowestPipeOfEachPath) {
  const auto recording = labelled({layer_of(Side::encoder, 0, {1, 2, 2}, {1, 0, 0.8f, 0.2f}),
                                   layer_of(Side::encoder, 1, {1, 2, 2}, {0.5f, 0.5f, 0.2f, 0.8f})});
  expect_rows(of(recording, Side::encoder), {{0.75 + 0.25, 0.25}, {0.1 + 0.4, 0.6}});
  expect_rows(of(recording, Side::encoder, 0), {{1, 0}, {0.4, 0.6}});
}

// E = [1 0; .4 .6]; one decoder layer, C = [.5 .5; 0 1]: pipes of C / 2 to the encoder's output.
TEST_F(Flow, BetweenTheSidesGoesThroughTheEncoder) {
  const auto recording = labelled({layer_of(Side::encoder, 0, {1, 2, 2}, {1, 0, 0.8f, 0.2f}),
                                   layer_of(Side::decoder, 0, {1, 2, 2}, {1, 0, 0.5f, 0.5f}),
                                   layer_of(Side::cross, 0, {1, 2, 2}, {0.5f, 0.5f, 0, 1})});
  expect_rows(of(recording, Side::cross), {{0.25 + 0.25, 0.25}, {0.4, 0.5}});
}

// Step 1 reaches the source by its own cross-attention and by what step 0 brought.
TEST_F(Flow, BetweenTheSidesGoesThroughEarlierSteps) {
  const auto recording = labelled({layer_of(Side::decoder, 1, {1, 2, 2}, {1, 0, 1, 0}),
                                   layer_of(Side::cross, 0, {1, 2, 2}, {1, 0, 0, 1}),
                                   layer_of(Side::cross, 1, {1, 2, 2}, {1, 0, 0, 1})});
  // After layer 1, of step 1: .5 to b at once; .5 stays, of which .5 by step 0 (to a: min .25 ...) by pipes:
  // kept .5, then .5 to step 0 with .5 to a, and .5 to itself with .5 to b.
  expect_rows(of(recording, Side::cross), {{0.5 + 0.5, 0}, {0.5, 0.5 + 0.5}});
}

TEST_F(Flow, IsRolloutOfASingleLayer) {
  const Recording recording = random_recording(1, 2, 6, 4);
  for (const Side side : {Side::encoder, Side::decoder}) {
    const auto flowing = numbers(of(recording, side)), rolled = numbers(rollout(recording, side));
    for (std::size_t i = 0; i < flowing.size(); ++i) EXPECT_NEAR(flowing[i], rolled[i], 1e-6);
  }
}

TEST_F(Flow, RowsSumToOneAndADecoderSeesNoLaterToken) {
  const Recording recording = random_recording(4, 2, 9, 6);
  for (const Side side : {Side::encoder, Side::decoder, Side::cross}) {
    const auto found = of(recording, side);
    const std::int64_t T = found.weights_HTS.dim(1), S = found.weights_HTS.dim(2);
    for (std::int64_t t = 0; t < T; ++t) {
      const float* row = found.weights_HTS.f32() + t * S;
      EXPECT_NEAR(std::accumulate(row, row + S, 0.0), 1.0, 1e-5);
      for (std::int64_t s = t + 1; side == Side::decoder && s < S; ++s) EXPECT_EQ(row[s], 0.0f);
    }
  }
}

TEST_F(Flow, DoesNotDependOnThreads) {
  const Recording recording = random_recording(3, 2, 11, 8);
  kernels::ExecutionOwner alone(1);
  EXPECT_EQ(numbers(of(recording, Side::cross)), numbers(flow(alone.get(), recording, Side::cross)));
}

TEST_F(Flow, RefusesMoreTokensThanItCanDo) {
  EXPECT_THROW(of(random_recording(1, 1, 201, 2), Side::cross), Error);
  EXPECT_THROW(of(random_recording(1, 1, 3, 2), Side::cross, 1), Error);
}

TEST_F(Flow, SlowTwoHundredTokens) {
  const Recording recording = random_recording(6, 1, 200, 200);
  for (const Side side : {Side::encoder, Side::decoder, Side::cross}) {
    const auto start = std::chrono::steady_clock::now();
    of(recording, side);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_LT(took.count(), 60.0);
    RecordProperty("seconds_" + std::string(name(side)), std::to_string(took.count()));
  }
}

}  // namespace
}  // namespace fovea::attention
