#include "fovea/views/attention_json.h"

#include <gtest/gtest.h>

#include <limits>

#include "fovea/attention/rollout.h"
#include "fovea/base/error.h"
#include "fovea/views/head_table.h"
#include "tests/attention/sample_recording.h"

#include <nlohmann/json.hpp>

namespace fovea::views {
namespace {

using attention::Side;

TEST(AttentionJson, HoldsEveryNumberToTheBit) {
  auto recording = attention::random_recording(2, 3, 4, 5);
  recording.source[0] = "▁\"<é\\";
  const auto json = nlohmann::json::parse(
      attention_json(recording, {"small", {{"Rollout", {attention::rollout(recording, Side::cross)}}}}));
  EXPECT_EQ(json["format"], "fovea-attention");
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["model"], "small");
  EXPECT_EQ(json["source"], recording.source);
  EXPECT_EQ(json["target_in"], recording.target_in);
  EXPECT_EQ(json["target_out"], recording.target_out);
  ASSERT_EQ(json["layers"].size(), 7u);
  for (std::size_t l = 0; l < 6; ++l) {
    const auto& layer = recording.layers[l];
    const auto& found = json["layers"][l];
    EXPECT_EQ(found["kind"], "attention");
    EXPECT_EQ(found["side"], attention::name(layer.side));
    EXPECT_EQ(found["layer"], layer.layer);
    ASSERT_EQ(found["heads"], 3);
    EXPECT_EQ(json[found["rows"]].size(), found["weights"][0].size());
    EXPECT_EQ(json[found["columns"]].size(), found["weights"][0][0].size());
    EXPECT_EQ(found["statistics"].size(), 3u);
    std::size_t i = 0;
    for (const auto& head : found["weights"])
      for (const auto& row : head)
        for (const auto& weight : row) EXPECT_EQ(weight.get<float>(), layer.weights_HTS.f32()[i++]);
    EXPECT_EQ(i, static_cast<std::size_t>(layer.weights_HTS.elements()));
  }
  EXPECT_EQ(json["layers"][6]["kind"], "Rollout");
  EXPECT_EQ(json["layers"][6]["heads"], 1);
}

TEST(AttentionJson, CannotHoldWhatIsNoNumber) {
  auto recording = attention::random_recording(1, 1, 2, 2);
  recording.layers[0].weights_HTS.f32()[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(attention_json(recording), Error);
}

TEST(HeadTable, IsALineAHead) {
  attention::HeadStatistics head{Side::decoder, 11, 7, 1.234, 0.5, 2.5, 0.125, 1.0, 0.04};
  EXPECT_EQ(head_table({head}),
            "side     layer  head  entropy  spread  distance  diagonal    end  confidence\n"
            "decoder     11     7     1.23    50 %      2.50      12 %  100 %         4 %\n");
}

}  // namespace
}  // namespace fovea::views
