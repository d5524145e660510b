#include "fovea/models/sentence_pooling.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fovea/formats/safetensors.h"
#include "tests/base/scratch.h"
#include "tests/models/with_threads.h"

namespace fovea::models {
namespace {

using fovea::test::expect_error;
using fovea::test::ScratchFolder;
using Mode = SentencePooling::Mode;
using Ids = std::vector<std::int32_t>;

class SentencePoolings : public WithThreads, public testing::Test {
 protected:
  // Two texts: rows (1,-2) (3,4) (5,0), and (7,8).
  const Tensor states_ = Tensor::of({4, 2}, std::vector<float>{1, -2, 3, 4, 5, 0, 7, 8});
  const Ids start_{0, 3, 4};

  std::vector<float> pooled(const SentencePooling& pooling) const {
    const Tensor rows = pool(context(), pooling, states_, start_);
    return {rows.values().begin(), rows.values().end()};
  }
  void expect_near(const std::vector<float>& found, const std::vector<double>& expected) const {
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6) << i;
  }
};

TEST_F(SentencePoolings, EachModeIsItsFormula) {
  const double root = std::sqrt(3.0);
  expect_near(pooled({.modes = {Mode::cls}}), {1, -2, 7, 8});
  expect_near(pooled({.modes = {Mode::last}}), {5, 0, 7, 8});
  expect_near(pooled({.modes = {Mode::maximum}}), {5, 4, 7, 8});
  expect_near(pooled({.modes = {Mode::mean}}), {3, 2.0 / 3, 7, 8});
  expect_near(pooled({.modes = {Mode::mean_sqrt}}), {9 / root, 2 / root, 7, 8});
  expect_near(pooled({.modes = {Mode::weighted}}), {22.0 / 6, 1, 7, 8});
  expect_near(pooled({.modes = {Mode::cls, Mode::mean}}), {1, -2, 3, 2.0 / 3, 7, 8, 7, 8});
}

TEST_F(SentencePoolings, VectorsOfLengthOne) {
  const double length = std::sqrt(5.0), other = std::sqrt(113.0);
  expect_near(pooled({.modes = {Mode::cls}, .normalise = true}),
              {1 / length, -2 / length, 7 / other, 8 / other});
}

TEST_F(SentencePoolings, ADirectoryOfSentenceTransformersSaysHow) {
  const ScratchFolder folder;
  folder.write("modules.json",
               R"([{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
    {"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
    {"idx":2,"name":"2","path":"2_Dense","type":"sentence_transformers.models.Dense"},
    {"idx":3,"name":"3","path":"3_Normalize","type":"sentence_transformers.models.Normalize"}])");
  folder.write("sentence_bert_config.json", R"({"max_seq_length": 77, "do_lower_case": false})");
  std::filesystem::create_directories(folder / "1_Pooling");
  std::filesystem::create_directories(folder / "2_Dense");
  folder.write(
      "1_Pooling/config.json",
      R"({"word_embedding_dimension": 2, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true})");
  folder.write(
      "2_Dense/config.json",
      R"({"in_features": 2, "out_features": 1, "bias": true, "activation_function": "torch.nn.modules.linear.Identity"})");
  formats::SafetensorsWriter dense;
  dense.add("linear.weight", Tensor::of({1, 2}, std::vector<float>{2, 3}));
  dense.add("linear.bias", Tensor::of({1}, std::vector<float>{-1}));
  dense.save(folder / "2_Dense/model.safetensors");
  auto pooling = read_sentence_pooling(folder.path(), 2).value();
  EXPECT_EQ(pooling.max_tokens, 77);
  EXPECT_TRUE(pooling.normalise);
  pooling.normalise = false;
  expect_near(pooled(pooling), {2 * 3 + 3 * 2.0 / 3 - 1, 2 * 7 + 3 * 8 - 1.0});

  expect_error(
      Error::Kind::model, [&] { read_sentence_pooling(folder.path(), 4); }, "word_embedding_dimension");
  folder.write("1_Pooling/config.json", R"({"word_embedding_dimension": 2})");
  expect_error(
      Error::Kind::model, [&] { read_sentence_pooling(folder.path(), 2); }, "no kind of pooling");
  folder.write("modules.json", R"([{"path":"","type":"x.Transformer"},{"path":"../..","type":"x.Pooling"}])");
  expect_error(
      Error::Kind::model, [&] { read_sentence_pooling(folder.path(), 2); }, "path");
  folder.write("modules.json", R"([{"path":"","type":"x.Transformer"},{"path":"a","type":"x.CNN"}])");
  expect_error(
      Error::Kind::model, [&] { read_sentence_pooling(folder.path(), 2); }, "x.CNN");
}

TEST_F(SentencePoolings, AnyOtherDirectorySaysNothing) {
  const ScratchFolder folder;
  EXPECT_FALSE(read_sentence_pooling(folder.path(), 2).has_value());
  EXPECT_EQ(encoder_folder(folder.path()), folder.path());
}

}  // namespace
}  // namespace fovea::models
