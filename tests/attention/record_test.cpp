#include "fovea/attention/record.h"

#include <gtest/gtest.h>

#include <numeric>

#include "fovea/base/error.h"

namespace fovea::attention {
namespace {

using Labels = std::vector<std::string>;

Tensor counting(Shape shape) {
  Tensor tensor = Tensor::empty(shape);
  std::iota(tensor.values().begin(), tensor.values().end(), 0.0f);
  return tensor;
}

const Labels source{"a", "b", "</s>"}, target_in{"<s>", "x"}, target_out{"x", "</s>"};

TEST(Record, KeepsWhatItWantsOfEveryCall) {
  Record record("cross");
  EXPECT_TRUE(record.wants("decoder.0.cross"));
  EXPECT_FALSE(record.wants("decoder.0.self"));
  record.attention("decoder.0.cross", counting({2}));
  record.attention("decoder.0.cross", counting({3}));
  EXPECT_EQ(record.weights().at("decoder.0.cross").elements(), 3);
  EXPECT_EQ(record.calls().at("decoder.0.cross").size(), 2u);
}

TEST(Record, PlacesAreReadStrictly) {
  const auto at = [](std::string_view place) { return parse_place(place); };
  EXPECT_EQ(at("encoder.11")->layer, 11);
  EXPECT_EQ(at("encoder.11")->side, Side::encoder);
  EXPECT_EQ(at("decoder.3.self")->side, Side::decoder);
  EXPECT_EQ(at("decoder.3.cross")->side, Side::cross);
  EXPECT_EQ(at("decoder.3.cross")->layer, 3);
  for (const auto* other :
       {"", "encoder", "encoder.", "encoder.x", "encoder.-1", "encoder.1.self", "decoder.1", "decoder.1.",
        "decoder.1.selfish", "decoder.99999999999.self", "stage1.channel"})
    EXPECT_FALSE(at(other)) << other;
}

TEST(Recording, OrdersLayersBySideAndNumber) {
  Record record;
  for (const auto* place : {"decoder.10.cross", "decoder.2.cross"})
    record.attention(place, counting({2, 2, 3}));
  record.attention("decoder.0.self", counting({8}));  // as kernels give them: without a shape
  record.attention("encoder.1", counting({4 * 9}));
  record.attention("pool", counting({5}));
  const Recording found = recording(record, source, target_in, target_out);
  ASSERT_EQ(found.layers.size(), 4u);
  EXPECT_EQ(found.layers[0].weights_HTS.shape(), (Shape{4, 3, 3}));
  EXPECT_EQ(found.layers[1].weights_HTS.shape(), (Shape{2, 2, 2}));
  EXPECT_EQ(found.layers[2].layer, 2);
  EXPECT_EQ(found.layers[3].layer, 10);
  EXPECT_EQ(found.find(Side::cross, 10), &found.layers[3]);
  EXPECT_EQ(found.find(Side::cross, 3), nullptr);
  EXPECT_EQ(found.rows(Side::decoder), target_out);
  EXPECT_EQ(found.columns(Side::decoder), target_in);
  EXPECT_EQ(found.rows(Side::encoder), source);
  EXPECT_EQ(found.columns(Side::cross), source);
}

TEST(Recording, JoinsTheStepsOfADecoder) {
  Record record;
  const float first[] = {0.1f, 0.2f, 0.7f, 0.3f, 0.3f, 0.4f}, second[] = {1, 0, 0, 0, 1, 0};
  record.attention("decoder.0.cross", Tensor::of({2, 1, 3}, first));
  record.attention("decoder.0.cross", Tensor::of({2, 1, 3}, second));
  record.attention("decoder.0.self", Tensor::of({1, 1, 1}, std::vector<float>{1}));
  record.attention("decoder.0.self", Tensor::of({1, 1, 2}, std::vector<float>{0.25f, 0.75f}));
  const Recording found = recording(record, source, target_in, target_out);
  const Tensor cross = found.find(Side::cross, 0)->weights_HTS;
  ASSERT_EQ(cross.shape(), (Shape{2, 2, 3}));
  const std::vector<float> expected{0.1f, 0.2f, 0.7f, 1, 0, 0, 0.3f, 0.3f, 0.4f, 0, 1, 0};
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), cross.f32()));
  const Tensor self = found.find(Side::decoder, 0)->weights_HTS;
  const std::vector<float> triangle{1, 0, 0.25f, 0.75f};
  EXPECT_TRUE(std::equal(triangle.begin(), triangle.end(), self.f32()));
}

TEST(Recording, ATextThatOneSideReadAlone) {
  Record record;
  record.attention("decoder.0.self", counting({2, 3, 3}));
  const auto read = recording(record, Side::decoder, source);
  EXPECT_EQ(read.main_side(), Side::decoder);
  EXPECT_EQ(read.rows(Side::decoder), source);
  EXPECT_EQ(read.columns(Side::decoder), source);
  ASSERT_EQ(read.layers.size(), 1u);
  EXPECT_EQ(read.layers[0].weights_HTS.shape(), (Shape{2, 3, 3}));
  EXPECT_THROW(recording(record, Side::encoder, source), Error);
  EXPECT_THROW(recording(record, Side::decoder, {}), Error);

  Record encoder;
  encoder.attention("encoder.1", counting({2, 3, 3}));
  EXPECT_EQ(recording(encoder, Side::encoder, source).main_side(), Side::encoder);
  encoder.attention("decoder.0.cross", counting({3, 3}));
  EXPECT_THROW(recording(encoder, Side::encoder, source), Error);
}

TEST(Recording, RefusesWhatFitsNoSentence) {
  Record record;
  record.attention("decoder.0.cross", counting({7}));
  EXPECT_THROW(recording(record, source, target_in, target_out), Error);
  EXPECT_THROW(recording(Record(), source, {"<s>"}, target_out), Error);
  EXPECT_THROW(recording(Record(), {}, target_in, target_out), Error);
}

}  // namespace
}  // namespace fovea::attention
