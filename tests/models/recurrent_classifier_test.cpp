#include "fovea/models/recurrent_classifier.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "fovea/attention/record.h"
#include "fovea/base/file.h"
#include "fovea/models/classifier_folder.h"
#include "tests/base/scratch.h"
#include "tests/models/loss_gradients.h"
#include "tests/models/with_threads.h"

namespace fovea::models {
namespace {

using fovea::test::expect_error;
using fovea::test::ScratchFolder;
using Ids = std::vector<std::int32_t>;
using Pooling = RecurrentClassifierConfig::Pooling;

RecurrentClassifierConfig small(nn::Recurrence cell = nn::Recurrence::gru, std::int64_t layers = 1,
                                Pooling pooling = Pooling::attention) {
  RecurrentClassifierConfig config;
  config.vocabulary = 12;
  config.embedding = 6;
  config.cell = cell;
  config.layers = layers;
  config.width = 5;
  config.pooling = pooling;
  config.attention_width = 4;
  config.max_tokens = 9;
  config.embedding_dropout = config.dropout = config.classifier_dropout = 0.2f;
  config.classes.names = {"no", "yes"};
  return config;
}

const std::vector<RecurrentClassifierConfig> variants{small(), small(nn::Recurrence::lstm, 2),
                                                      small(nn::Recurrence::gru, 0),
                                                      small(nn::Recurrence::gru, 1, Pooling::mean)};

struct Texts {
  Ids tokens{3, 4, 5, 6, 7, 8, 9, 2}, start{0, 4, 5, 8};
  TextBatch batch() const { return {tokens, {}, start}; }
};

class RecurrentClassifiers : public WithThreads, public testing::Test {};

TEST_F(RecurrentClassifiers, GradientsAreDerivatives) {
  const Texts texts;
  const Ids labels{1, 0, 1};
  for (const auto& config : variants) {
    RecurrentClassifier model(config, 5);
    expect_gradients_are_derivatives(model, context(), 6, [&](const ops::Context& ctx) {
      return model.loss(ctx, texts.batch(), labels, 0.1f, 1.0f);
    });
  }
}

TEST_F(RecurrentClassifiers, WhatIsSavedIsReadAgain) {
  const Texts texts;
  const ScratchFolder folder;
  for (const auto& config : variants) {
    const RecurrentClassifier model(config, 7);
    write_atomically(folder / "config.json", config_json(config, DType::f32));
    model.weights_file(DType::f32).save(folder / "model.safetensors");
    const auto again = load_classifier(folder.path(), owner_.get());
    EXPECT_TRUE(std::ranges::equal(again->logits(context(), texts.batch()).values(),
                                   model.logits(context(), texts.batch()).values()));
    EXPECT_EQ(config_json(dynamic_cast<RecurrentClassifier&>(*again).config(), DType::f32),
              config_json(config, DType::f32));
  }
}

TEST_F(RecurrentClassifiers, NeighboursDoNotChangeABit) {
  const Texts texts;
  const Ids alone(texts.tokens.begin() + 5, texts.tokens.end()), start{0, 3};
  for (const auto& config : variants) {
    const RecurrentClassifier model(config, 3);
    const Tensor all = model.logits(context(), texts.batch());
    EXPECT_TRUE(
        std::ranges::equal(model.logits(context(), {alone, {}, start}).values(), all.values().subspan(4, 2)));
  }
}

TEST_F(RecurrentClassifiers, TheMeanOfWordsAsTheyAre) {
  const Texts texts;
  auto config = small(nn::Recurrence::gru, 0, Pooling::mean);
  const RecurrentClassifier model(config, 3);
  const auto& all = model.parameters().all();
  const Tensor words = all[0].value, W = all[1].value;
  const Tensor logits = model.logits(context(), texts.batch());
  for (std::int64_t c = 0; c < 2; ++c) {
    double expected = 0.0;
    for (std::int64_t i = 0; i < 4; ++i)
      for (std::int64_t d = 0; d < 6; ++d)
        expected +=
            0.25 * words.f32()[texts.tokens[static_cast<std::size_t>(i)] * 6 + d] * W.f32()[c * 6 + d];
    EXPECT_NEAR(logits.f32()[c], expected, 1e-6);
  }
}

TEST_F(RecurrentClassifiers, ARecorderSeesWhatIsLookedAt) {
  const Texts texts;
  const RecurrentClassifier model(small(), 3);
  attention::Record record;
  auto ctx = context();
  ctx.recorder = &record;
  model.logits(ctx, texts.batch());
  const Tensor weights = record.weights().at(std::string(RecurrentClassifier::pooling_place));
  ASSERT_EQ(weights.elements(), 8);
  EXPECT_NEAR(weights.f32()[0] + weights.f32()[1] + weights.f32()[2] + weights.f32()[3], 1.0, 1e-6);
  EXPECT_NEAR(weights.f32()[4], 1.0, 1e-6);
}

TEST(RecurrentClassifierConfigs, WhatCannotBeIsRefusedByKey) {
  const auto json = config_json(small(), DType::f32);
  const auto refused = [&](const std::string& from, const std::string& to, const std::string& named) {
    std::string text = json;
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, from.size(), to);
    expect_error(
        Error::Kind::model,
        [&] {
          read_classifier_config(
              formats::Json::parse(text, {.name = "config.json", .kind = Error::Kind::model}));
        },
        named);
  };
  refused("\"gru\"", "\"elman\"", "elman");
  refused("\"attention\"", "\"median\"", "median");
  refused("\"vocab_size\": 12", "\"vocab_size\": 0", "vocab_size");
  refused("fovea-recurrent-classifier", "bloom", "bloom");
}

}  // namespace
}  // namespace fovea::models
