#include "fovea/models/language_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "fovea/attention/record.h"
#include "tests/models/language_variants.h"
#include "tests/models/loss_gradients.h"

namespace fovea::models {
namespace {

using Ids = std::vector<std::int32_t>;

class LanguageModels : public testing::TestWithParam<std::pair<std::string, LanguageConfig>> {
 protected:
  ops::Context context(kernels::KernelSet set = kernels::default_kernels()) {
    owner_ = std::make_unique<kernels::ExecutionOwner>(2, set);
    ops::Context ctx;
    ctx.exec = owner_->get();
    ctx.seed = 3;
    return ctx;
  }
  // Its weights larger than a model's are at the beginning, so that its answers are not all alike.
  std::unique_ptr<LanguageModel> model() const {
    auto model = make_language_model(GetParam().second, 5);
    for (auto& parameter : model->parameters().all())
      if (parameter.initial.kind == nn::Initial::Kind::normal)
        for (float& w : parameter.value.values()) w *= 12.0f;
    return model;
  }
  std::unique_ptr<kernels::ExecutionOwner> owner_;
};

Ids text(std::int64_t length, std::int32_t seed) {
  Ids ids;
  for (std::int64_t i = 0; i < length; ++i)
    ids.push_back(static_cast<std::int32_t>((seed + 5 * i + i * i) % 13));
  return ids;
}

// Logits of every token of one text.
Tensor whole(const ops::Context& ctx, const LanguageModel& model, const Ids& ids) {
  return model.predict(ctx, ids, Ids{0, static_cast<std::int32_t>(ids.size())});
}

void expect_row_near(const Tensor& a, std::int64_t row_a, const Tensor& b, std::int64_t row_b,
                     const std::string& what) {
  for (std::int64_t v = 0; v < a.dim(1); ++v) {
    const float x = a.f32()[row_a * a.dim(1) + v], y = b.f32()[row_b * b.dim(1) + v];
    ASSERT_NEAR(x, y, 2e-5 * std::max(1.0f, std::abs(y))) << what << ", token " << v;
  }
}

TEST_P(LanguageModels, StepsSayWhatAWholePassSays) {
  const auto ctx = context();
  const auto model = this->model();
  const Ids ids = text(20, 1);
  const Tensor all = whole(ctx, *model, ids);
  for (const std::size_t prompt : {std::size_t{0}, std::size_t{1}, std::size_t{7}}) {
    const std::vector<Ids> beginnings{Ids(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(prompt))};
    const auto state = model->start(ctx, beginnings);
    for (std::size_t t = prompt; t < ids.size(); ++t)
      expect_row_near(model->step(ctx, *state, {&ids[t], 1}), 0, all, static_cast<std::int64_t>(t),
                      "prompt " + std::to_string(prompt) + ", step " + std::to_string(t));
  }
}

TEST_P(LanguageModels, ARowKeepsItsBitsWhoeverIsBesideIt) {
  const auto ctx = context();
  const auto model = this->model();
  const Ids a = text(5, 1), b = text(9, 2), c = text(2, 7);
  const auto alone = model->start(ctx, std::vector<Ids>{a});
  const auto together = model->start(ctx, std::vector<Ids>{b, a});
  const Ids next{3};
  const Tensor expected_first = model->step(ctx, *alone, next);
  const Tensor first = model->step(ctx, *together, Ids{4, 3});
  model->admit(ctx, *together, std::vector<Ids>{c});
  together->reorder(Ids{1, 2, 1});
  EXPECT_EQ(together->rows(), 3);
  EXPECT_EQ(together->length(0), 6);
  EXPECT_EQ(together->length(1), 2);
  const Tensor expected_second = model->step(ctx, *alone, Ids{6});
  const Tensor second = model->step(ctx, *together, Ids{6, 1, 2});
  const auto row = [](const Tensor& logits, std::int64_t i) { return logits.rows(i, i + 1); };
  EXPECT_TRUE(std::ranges::equal(row(first, 1).values(), expected_first.values()));
  EXPECT_TRUE(std::ranges::equal(row(second, 0).values(), expected_second.values()));
  Ids forked = a;
  forked.insert(forked.end(), {3, 2});
  expect_row_near(second, 2, whole(ctx, *model, forked), 6, "the fork");
}

TEST_P(LanguageModels, H01_GradientsAreDerivatives) {
  const auto model = this->model();
  const Ids tokens = text(11, 4), next = text(11, 9), start{0, 4, 11};
  expect_gradients_are_derivatives(
      *model, context(kernels::KernelSet::reference), 4, [&](const ops::Context& ctx) {
        return model->loss(ctx, {.tokens = tokens, .next = next, .start = start}, 0.1f, 1.0f);
      });
}

TEST_P(LanguageModels, DropoutActsInTrainingAlone) {
  const auto model = this->model();
  const Ids tokens = text(11, 4), next = text(11, 9), start{0, 4, 11};
  const LanguageBatch batch{.tokens = tokens, .next = next, .start = start};
  auto training = context();
  training.training = true;
  const double trained = model->loss(training, batch, 0.0f, 1.0f).nll;
  const double asked = model->loss(context(), batch, 0.0f, 1.0f).nll;
  const bool drops = GetParam().first == "llama" || GetParam().first.starts_with("gpt2");
  EXPECT_EQ(std::abs(trained - asked) > 1e-3 * asked, drops);
}

TEST_P(LanguageModels, TheLossIsThatOfItsLogits) {
  const auto ctx = context();
  const auto model = this->model();
  const Ids tokens = text(11, 4), next = text(11, 9), start{0, 4, 11};
  const Tensor logits = model->predict(ctx, tokens, start);
  double nll = 0.0;
  for (std::int64_t n = 0; n < 11; ++n) {
    double sum = 0.0;
    for (std::int64_t v = 0; v < 13; ++v) sum += std::exp(double(logits.f32()[n * 13 + v]));
    nll += std::log(sum) - logits.f32()[n * 13 + next[static_cast<std::size_t>(n)]];
  }
  const auto sums = model->loss(ctx, {.tokens = tokens, .next = next, .start = start}, 0.0f, 1.0f);
  EXPECT_NEAR(sums.nll, nll, 1e-3);
  EXPECT_EQ(sums.tokens, 11);
  const auto losses = model->losses(ctx, {.tokens = tokens, .next = next, .start = start});
  ASSERT_EQ(losses.size(), 11u);
  EXPECT_NEAR(std::accumulate(losses.begin(), losses.end(), 0.0), nll, 1e-3);
}

TEST_P(LanguageModels, ALossKeepsItsBitsWhoeverIsBesideIt) {
  const auto ctx = context();
  const auto model = this->model();
  const Ids tokens = text(11, 4), next = text(11, 9);
  const auto together = model->losses(ctx, {.tokens = tokens, .next = next, .start = Ids{0, 4, 11}});
  const std::span<const std::int32_t> read(tokens), follows(next);
  const auto alone =
      model->losses(ctx, {.tokens = read.subspan(4), .next = follows.subspan(4), .start = Ids{0, 7}});
  EXPECT_TRUE(std::ranges::equal(alone, std::span(together).subspan(4)));
}

TEST_P(LanguageModels, WhatItLooksAtIsRecordedAndCausal) {
  auto ctx = context();
  const auto model = this->model();
  attention::Record record;
  ctx.recorder = &record;
  const Ids ids = text(6, 3);
  model->read(ctx, ids);
  ASSERT_EQ(record.weights().size(), 2u);
  for (const auto& [place, weights] : record.weights()) {
    ASSERT_EQ(weights.elements() % 36, 0) << place;
    for (std::int64_t h = 0; h < weights.elements() / 36; ++h)
      for (std::int64_t t = 0; t < 6; ++t) {
        const float* row = weights.f32() + h * 36 + t * 6;
        EXPECT_NEAR(std::accumulate(row, row + 6, 0.0f), 1.0f, 1e-5f) << place;
        for (std::int64_t s = t + 1; s < 6; ++s) EXPECT_EQ(row[s], 0.0f) << place;
      }
  }
}

TEST_P(LanguageModels, PastItsPositionsItSaysSo) {
  const auto ctx = context();
  const auto model = this->model();
  EXPECT_NO_THROW(whole(ctx, *model, text(40, 1)));
  EXPECT_THROW(whole(ctx, *model, text(41, 1)), Error);
  const auto state = model->start(ctx, std::vector<Ids>{text(40, 1)});
  EXPECT_THROW(model->step(ctx, *state, Ids{1}), Error);
}

INSTANTIATE_TEST_SUITE_P(Families, LanguageModels, testing::ValuesIn(language_variants()),
                         [](const auto& info) { return info.param.first; });

}  // namespace
}  // namespace fovea::models
