#include "fovea/metrics/perplexity.h"

#include <gtest/gtest.h>

#include "fovea/base/error.h"
#include "tests/models/language_variants.h"

namespace fovea::metrics {
namespace {

using Ids = std::vector<std::int32_t>;

Ids text(std::int64_t length, std::int32_t seed) {
  Ids ids;
  for (std::int64_t i = 0; i < length; ++i)
    ids.push_back(static_cast<std::int32_t>((seed + 5 * i + i * i) % 13));
  return ids;
}

class Perplexities : public testing::Test {
 protected:
  Perplexities() : model_(models::make_language_model(models::small_gpt2(), 5)), exec_(2) {
    for (float& w : model_->parameters().values().values()) w *= 5.0f;
  }

  Perplexity of(const std::vector<Ids>& documents, const PerplexityOptions& options, int threads = 2) {
    const kernels::ExecutionOwner exec(threads);
    return perplexity(*model_, documents, options, exec.get());
  }

  // -log p of ids[t] after ids[begin] .. ids[t - 1], from the logits of that text alone.
  double surprise(const Ids& ids, std::int64_t begin, std::int64_t t) {
    ops::Context ctx;
    ctx.exec = exec_.get();
    const Ids before(ids.begin() + begin, ids.begin() + t);
    const Tensor logits = model_->predict(ctx, before, Ids{0, static_cast<std::int32_t>(before.size())});
    const float* last = logits.f32() + (logits.dim(0) - 1) * logits.dim(1);
    double sum = 0.0;
    for (std::int64_t v = 0; v < logits.dim(1); ++v) sum += std::exp(static_cast<double>(last[v]));
    return std::log(sum) - static_cast<double>(last[ids[static_cast<std::size_t>(t)]]);
  }

  std::unique_ptr<models::LanguageModel> model_;
  kernels::ExecutionOwner exec_;
};

TEST_F(Perplexities, AShortDocumentIsReadWhole) {
  const Ids ids = text(20, 3);
  double expected = 0.0;
  for (std::int64_t t = 1; t < 20; ++t) expected += surprise(ids, 0, t);
  const auto found = of({ids}, {});
  EXPECT_EQ(found.tokens, 19);
  EXPECT_NEAR(found.nats, expected, 1e-3);
  EXPECT_NEAR(found.per_token(), expected / 19, 1e-4);
  EXPECT_NEAR(found.perplexity(), std::exp(expected / 19), 1e-3);
}

TEST_F(Perplexities, OfALongOneEveryTokenCountsOnceInTheFirstWindowThatHasIt) {
  const Ids ids = text(24, 1);  // 23 predictions: windows of predictions 0-7, 3-10, 6-13, 9-16, 12-19, 15-22
  double expected = 0.0;
  for (std::int64_t t = 1; t < 24; ++t) {
    std::int64_t begin = 0;
    while (begin + 8 < t) begin += 3;
    expected += surprise(ids, begin, t);
  }
  const auto found = of({ids}, {.window = 8, .stride = 3});
  EXPECT_EQ(found.tokens, 23);
  EXPECT_NEAR(found.nats, expected, 1e-3);
}

TEST_F(Perplexities, TheLastWindowLiesAtTheEnd) {
  const Ids ids = text(12, 1);  // 11 predictions: 0-7, then 3-10
  double expected = 0.0;
  for (std::int64_t t = 1; t < 12; ++t) expected += surprise(ids, t <= 8 ? 0 : 3, t);
  const auto found = of({ids}, {.window = 8, .stride = 8});
  EXPECT_EQ(found.tokens, 11);
  EXPECT_NEAR(found.nats, expected, 1e-3);
}

TEST_F(Perplexities, NeitherThreadsNorNeighboursChangeABit) {
  const std::vector<Ids> documents{text(90, 3), {}, text(1, 4), text(2, 5), text(33, 6)};
  const PerplexityOptions options{.window = 16, .stride = 5, .batch_tokens = 1000};
  const auto together = of(documents, options, 2);
  EXPECT_EQ(together.tokens, 89 + 1 + 32);
  EXPECT_EQ(of(documents, options, 1).nats, together.nats);
  EXPECT_EQ(of(documents, {.window = 16, .stride = 5, .batch_tokens = 1}, 2).nats, together.nats);
}

TEST_F(Perplexities, WindowsAreTheModelsUnlessGiven) {
  EXPECT_EQ(complete({}, *model_).window, 40);
  EXPECT_EQ(complete({}, *model_).stride, 20);
  EXPECT_EQ(complete({.window = 1}, *model_).stride, 1);
  for (const PerplexityOptions& bad : {PerplexityOptions{.window = 41}, PerplexityOptions{.window = -1},
                                       PerplexityOptions{.window = 8, .stride = 9}})
    EXPECT_THROW(complete(bad, *model_), Error);
}

}  // namespace
}  // namespace fovea::metrics
