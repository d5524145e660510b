#include "fovea/models/recurrent.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "fovea/attention/record.h"
#include "fovea/formats/safetensors.h"
#include "fovea/models/translation_folder.h"
#include "tests/base/scratch.h"
#include "tests/kernels/same_bits.h"
#include "tests/models/loss_gradients.h"
#include "tests/models/recurrent_variants.h"
#include "tests/models/some_pairs.h"
#include "tests/models/with_threads.h"

namespace fovea::models {
namespace {

using attention::Normaliser;
using kernels::same_bits;
using Window = RecurrentConfig::Window;

class RecurrentTest : public testing::TestWithParam<std::string>, protected WithThreads {};

TEST_P(RecurrentTest, H01_GradientsOfTheLossAreItsDerivatives) {
  RecurrentConfig config = variant(GetParam());
  config.dropout = 0.1f;
  RecurrentModel model(config, 5);
  const Pairs pairs = some_pairs();
  expect_gradients_are_derivatives(
      model, context(kernels::KernelSet::reference), 5,
      [&](const ops::Context& ctx) { return model.loss(ctx, pairs.batch(), 0.1f, 1.0f); });
}

TEST_P(RecurrentTest, KernelsGiveTheReferencesGradients) {
  const RecurrentConfig config = variant(GetParam());
  const Pairs pairs = some_pairs();
  std::vector<float> expected;
  for (const auto set : kernels::available_kernels()) {
    RecurrentModel model(config, 5);
    model.parameters().allocate_gradients();
    ops::Context ctx = context(set);
    ops::Tape tape;
    ctx.tape = &tape;
    model.loss(ctx, pairs.batch(), 0.1f, 1.0f);
    tape.backward();
    const auto gradients = model.parameters().gradients().values();
    if (expected.empty()) expected.assign(gradients.begin(), gradients.end());
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(gradients[i], expected[i], 1e-4f * std::max(1.0f, std::abs(expected[i])))
          << name_of(set) << " " << i;
  }
}

// Negative log-probability of tokens, step by step.
double step_by_step(const RecurrentModel& model, const ops::Context& ctx, const Pairs& pairs) {
  double nll = 0.0;
  for (std::size_t b = 0; b + 1 < pairs.source_start.size(); ++b) {
    const std::vector<std::vector<std::int32_t>> source{
        {pairs.source.begin() + pairs.source_start[b], pairs.source.begin() + pairs.source_start[b + 1]}};
    const auto state = model.start(ctx, source);
    for (auto t = pairs.target_start[b]; t < pairs.target_start[b + 1]; ++t) {
      const auto at = static_cast<std::size_t>(t);
      const Tensor logits = model.step(ctx, *state, std::vector{pairs.target_in[at]});
      double sum = 0.0;
      for (const float x : logits.values()) sum += std::exp(static_cast<double>(x));
      nll += std::log(sum) - static_cast<double>(logits.f32()[pairs.target_out[at]]);
    }
  }
  return nll;
}

TEST_P(RecurrentTest, G10_StepByStepGivesTheLossOfTheWhole) {
  const RecurrentConfig config = variant(GetParam());
  if (config.normaliser == Normaliser::monotonic) GTEST_SKIP() << "soft in training, hard in decoding";
  if (config.copy && config.window == Window::local_p)
    GTEST_SKIP() << "probabilities of whole sentences do not sum to 1, those of a search do";
  const RecurrentModel model(config, 7);
  const Pairs pairs = some_pairs();
  const ops::Context ctx = context();
  const double whole = model.loss(ctx, pairs.batch(), 0.0f, 1.0f).nll;
  EXPECT_NEAR(step_by_step(model, ctx, pairs), whole, 1e-4 * whole);
}

TEST_P(RecurrentTest, G02_AnAnswerDoesNotDependOnItsNeighbours) {
  const RecurrentModel model(variant(GetParam()), 7);
  const ops::Context ctx = context();
  const std::vector<std::vector<std::int32_t>> sources{{3, 4, 5, 0}, {6, 0}, {7, 8, 9, 10, 11, 0}};
  const auto together = model.start(ctx, sources);
  const auto alone = model.start(ctx, std::span(sources).subspan(2));
  model.step(ctx, *together, std::vector{2, 2, 2});
  model.step(ctx, *alone, std::vector{2});
  model.step(ctx, *together, std::vector{5, 6, 7});
  model.step(ctx, *alone, std::vector{7});
  together->reorder(std::vector{2, 0, 2});
  EXPECT_EQ(together->rows(), 3);
  const Tensor many = model.step(ctx, *together, std::vector{9, 3, 9});
  const Tensor one = model.step(ctx, *alone, std::vector{9});
  EXPECT_TRUE(same_bits(many.rows(0, 1).values(), one.values()));
  EXPECT_TRUE(same_bits(many.rows(2, 3).values(), one.values()));
}

TEST_P(RecurrentTest, WhatIsRecordedIsWhatTheDecoderLookedAt) {
  const RecurrentConfig config = variant(GetParam());
  const RecurrentModel model(config, 7);
  attention::Record record("cross");
  ops::Context ctx = context();
  ctx.recorder = &record;
  const std::vector<std::int32_t> source{3, 4, 5, 6, 0}, target{7, 8};
  model.read(ctx, source, target);
  if (!config.attends()) {
    EXPECT_TRUE(record.weights().empty());
    return;
  }
  const Tensor weights = record.weights().at("decoder.0.cross");
  ASSERT_EQ(weights.elements(), config.attention_heads * 3 * 5);
  const bool whole_rows = config.window != Window::local_p && config.normaliser != Normaliser::monotonic;
  for (std::int64_t row = 0; row < config.attention_heads * 3; ++row) {
    double sum = 0.0;
    for (std::int64_t j = 0; j < 5; ++j) sum += static_cast<double>(weights.f32()[row * 5 + j]);
    EXPECT_LE(sum, 1.0 + 1e-5);
    EXPECT_TRUE(!whole_rows || sum > 1.0 - 1e-5) << sum;
  }
}

TEST_P(RecurrentTest, ConfigAndWeightsComeBack) {
  const RecurrentConfig config = variant(GetParam());
  const std::string json = config_json(config, {}, DType::f32);
  const auto back = read_translation_config(formats::Json::parse(json, {"config.json", Error::Kind::model}));
  EXPECT_EQ(config_json(back, {}, DType::f32), json);
  EXPECT_EQ(parameter_count(config), double(RecurrentModel(config).parameters().count()));

  const test::ScratchFolder scratch;
  const RecurrentModel saved(config, 5);
  RecurrentModel loaded(config, 6);
  saved.weights_file(DType::f32).save(scratch / "model.safetensors");
  loaded.read_weights(formats::Weights::open(scratch.path()));
  EXPECT_TRUE(same_bits(loaded.parameters().values().values(), saved.parameters().values().values()));
}

INSTANTIATE_TEST_SUITE_P(All, RecurrentTest, testing::ValuesIn(variant_names()),
                         [](const auto& variant) { return variant.param; });

TEST_F(RecurrentTest, EveryVariantIsAnotherModel) {
  std::map<double, std::string> losses;
  for (const auto& [name, change] : variants()) {
    const RecurrentModel model(variant(name), 7);
    const double loss = model.loss(context(), some_pairs().batch(), 0.0f, 1.0f).nll;
    const auto [found, is_new] = losses.emplace(loss, name);
    EXPECT_TRUE(is_new) << name << " and " << found->second << " agree";
  }
}

TEST_F(RecurrentTest, TheCoverageLossAddsItsGradient) {
  RecurrentConfig config = small_recurrent_config();
  std::vector<std::vector<float>> gradients;
  for (const float weight : {0.0f, 1.0f}) {
    config.coverage_loss = weight;
    RecurrentModel model(config, 5);
    model.parameters().allocate_gradients();
    ops::Context ctx = context();
    ops::Tape tape;
    ctx.tape = &tape;
    const Pairs pairs = some_pairs();
    model.loss(ctx, pairs.batch(), 0.0f, 1.0f);
    tape.backward();
    const auto values = model.parameters().gradients().values();
    gradients.emplace_back(values.begin(), values.end());
  }
  EXPECT_NE(gradients[0], gradients[1]);
}

// Its memory and weights are picked apart by head as sentences end.
TEST_F(RecurrentTest, TheCoverageLossCountsEveryHead) {
  RecurrentConfig config = small_recurrent_config();
  config.attention_heads = 2;
  const RecurrentModel plain(config, 5);
  config.coverage_loss = 1.0f;
  const RecurrentModel model(config, 5);
  const Pairs pairs = some_pairs();
  const ops::Context ctx = context();
  EXPECT_EQ(model.loss(ctx, pairs.batch(), 0.0f, 1.0f).nll, plain.loss(ctx, pairs.batch(), 0.0f, 1.0f).nll);
  const std::vector<std::vector<std::int32_t>> sources{{3, 4, 5, 0}, {6, 0}};
  const auto state = model.start(ctx, sources), other = plain.start(ctx, sources);
  for (const auto* s : {&state, &other}) {
    model.step(ctx, **s, std::vector{2, 2});
    (*s)->reorder(std::vector{1, 0, 1});
  }
  EXPECT_TRUE(same_bits(model.step(ctx, *state, std::vector{5, 6, 5}).values(),
                        plain.step(ctx, *other, std::vector{5, 6, 5}).values()));
}

TEST_F(RecurrentTest, GradientsAreTheSameBitsForAnyThreads) {
  std::vector<float> expected;
  for (const int threads : {1, 2, 3}) {
    const kernels::ExecutionOwner owner(threads);
    RecurrentModel model(small_recurrent_config(), 5);
    model.parameters().allocate_gradients();
    ops::Tape tape;
    ops::Context ctx{.exec = owner.get(), .tape = &tape};
    const Pairs pairs = some_pairs();
    model.loss(ctx, pairs.batch(), 0.1f, 1.0f);
    tape.backward();
    const auto values = model.parameters().gradients().values();
    if (expected.empty()) expected.assign(values.begin(), values.end());
    EXPECT_TRUE(std::ranges::equal(values, expected)) << threads;
  }
}

TEST_F(RecurrentTest, WhatCannotBeBuiltIsNamed) {
  const auto message = [](auto change) -> std::string {
    RecurrentConfig config = small_recurrent_config();
    change(config);
    try {
      validate(config, Error::Kind::usage, "recipe");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message([](auto&) {}), "");
  EXPECT_NE(message([](auto& c) { c.score = "telepathy"; }).find("no attention 'telepathy'"),
            std::string::npos);
  EXPECT_NE(message([](auto& c) { c.score = "none", c.coverage = true; }).find("attention none"),
            std::string::npos);
  EXPECT_NE(message([](auto& c) { c.score = "dot", c.coverage = true; }).find("additive score"),
            std::string::npos);
  EXPECT_NE(message([](auto& c) { c.score = "none", c.copy = true; }).find("copying needs attention"),
            std::string::npos);
  const auto two_vocabularies =
      message([](auto& c) { c.copy = true, c.tie_source_target = false, c.source_vocabulary = 17; });
  EXPECT_NE(two_vocabularies.find("copying needs one vocabulary"), std::string::npos) << two_vocabularies;
  EXPECT_NE(message([](auto& c) { c.input_feeding = true; }).find("luong"), std::string::npos);
  EXPECT_NE(message([](auto& c) { c.attention_heads = 3; }).find("multiples"), std::string::npos);
}

}  // namespace
}  // namespace fovea::models
