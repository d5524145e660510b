#include "fovea/models/alignment.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "fovea/models/transformer.h"
#include "tests/models/with_threads.h"

namespace fovea::models {
namespace {

TransformerConfig config() {
  TransformerConfig config;
  config.source_vocabulary = config.target_vocabulary = 11;
  config.encoder_layers = config.decoder_layers = 3;
  config.width = 8;
  config.feed_forward = 12;
  config.heads = 2;
  return config;
}

class CrossAttention : public testing::Test, protected WithThreads {
 protected:
  Tensor weights(int layer = -1) { return cross_attention(context(), model_, source_, target_, layer); }
  double clarity(const Tensor& weights) {
    double sum = 0.0;
    for (std::int64_t t = 0; t < 4; ++t)
      sum += *std::max_element(weights.f32() + 5 * t, weights.f32() + 5 * t + 4);  // the last column is eos
    return sum;
  }

  Transformer model_{config(), 3};
  std::vector<std::int32_t> source_{3, 4, 5, 6, 0}, target_{7, 8, 9};
};

TEST_F(CrossAttention, HasARowForEachTargetTokenAndTheEnd) {
  const Tensor found = weights(1);
  expect_shape(found, {4, 5}, "weights");
  for (std::int64_t t = 0; t < 4; ++t) {
    float sum = 0.0f;
    for (std::int64_t s = 0; s < 5; ++s) sum += found.f32()[5 * t + s];
    EXPECT_NEAR(sum, 1.0f, 1e-5f);
  }
}

TEST_F(CrossAttention, ChoosesTheLayerThatPointsMostClearly) {
  const double chosen = clarity(weights());
  for (const int layer : {0, 1, 2}) EXPECT_GE(chosen, clarity(weights(layer)));
  EXPECT_EQ(chosen, std::max({clarity(weights(0)), clarity(weights(1)), clarity(weights(2))}));
}

TEST_F(CrossAttention, HasNoLayerBeyondTheLast) { EXPECT_THROW(weights(3), Error); }

}  // namespace
}  // namespace fovea::models
