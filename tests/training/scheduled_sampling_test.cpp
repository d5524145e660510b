#include "fovea/training/scheduled_sampling.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fovea/models/transformer.h"
#include "fovea/training/model_config.h"
#include "tests/base/scratch.h"
#include "tests/decoding/small_model.h"

namespace fovea::training {
namespace {

TrainingOptions options(double share, std::int64_t warmup, SamplingSchedule schedule) {
  TrainingOptions options;
  options.scheduled_sampling = share;
  options.scheduled_sampling_warmup = warmup;
  options.scheduled_sampling_schedule = schedule;
  return options;
}

constexpr auto linear = SamplingSchedule::linear, inverse_sigmoid = SamplingSchedule::inverse_sigmoid;

TEST(ScheduledSampling, GrowsInALine) {
  const auto how = options(0.4, 1000, linear);
  EXPECT_EQ(own_token_share(how, 1), 0.0);
  EXPECT_DOUBLE_EQ(own_token_share(how, 251), 0.1);
  EXPECT_DOUBLE_EQ(own_token_share(how, 1001), 0.4);
  EXPECT_DOUBLE_EQ(own_token_share(how, 9999), 0.4);
}

// At k (ln k + ln 99) updates the paper's k / (k + exp(i / k)) is 0.01: k = 100 for 920.0 updates.
TEST(ScheduledSampling, GrowsAsAnInverseSigmoid) {
  const double k = 100.0;
  const auto how = options(0.5, std::lround(k * (std::log(k) + std::log(99.0))), inverse_sigmoid);
  for (const int n : {0, 100, 460, 600, 920, 2000})
    EXPECT_NEAR(own_token_share(how, n + 1), 0.5 * (1.0 - k / (k + std::exp(n / k))), 1e-4) << n;
  EXPECT_LT(own_token_share(how, 1), 0.005);
  EXPECT_NEAR(own_token_share(how, 921), 0.495, 1e-4);
  EXPECT_NEAR(own_token_share(options(0.5, 3, inverse_sigmoid), 1), 0.25, 1e-12);  // k is 1 at least
  EXPECT_NEAR(own_token_share(how, 1000000), 0.5, 1e-12);
}

TEST(ScheduledSampling, NeverFallsAndKnowsItsEnds) {
  for (const auto schedule : {linear, inverse_sigmoid}) {
    double before = 0.0;
    for (std::int64_t t = 1; t < 400; ++t) {
      const double now = own_token_share(options(0.8, 200, schedule), t);
      EXPECT_GE(now, before);
      before = now;
    }
    EXPECT_EQ(own_token_share(options(0.8, 0, schedule), 1), 0.8);
    EXPECT_EQ(own_token_share(options(0.0, 200, schedule), 300), 0.0);
  }
}

TEST(ScheduledSampling, ATransformerRefusesIt) {
  Recipe recipe;
  recipe.training.scheduled_sampling = 0.25;
  const auto by_recipe =
      test::message_of(Error::Kind::usage, [&] { model_config(recipe, test::small_tokenizer()); });
  EXPECT_NE(
      by_recipe.find("recipe: training.scheduled_sampling: a Transformer reads all target tokens at once"),
      std::string::npos)
      << by_recipe;

  const auto model = test::small_model();
  const std::vector<std::int32_t> tokens{5, 6, 0}, start{0, 3};
  const kernels::ExecutionOwner exec(1);
  ops::Context ctx;
  ctx.exec = exec.get();
  const models::TranslationBatch batch{tokens, start, tokens, tokens, start, 0.1f};
  const auto by_call = test::message_of(Error::Kind::usage, [&] { model->loss(ctx, batch, 0.0f, 1.0f); });
  EXPECT_NE(by_call.find("without scheduled sampling"), std::string::npos) << by_call;
}

}  // namespace
}  // namespace fovea::training
