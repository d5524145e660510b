// Scores of given pairs: what the search says of the same tokens.
#include "fovea/decoding/pair_scorer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "fovea/base/error.h"
#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/translation_decoder.h"
#include "tests/decoding/small_model.h"
#include "tests/models/recurrent_variants.h"

namespace fovea::decoding {
namespace {

using test::message_of;
using test::small_tokenizer;

const std::vector<std::vector<std::int32_t>> sources{{3, 4, 5, 0}, {6, 0}, {7, 8, 9, 10, 11, 0}, {0}};

void expect_scores_of_the_search(const StepModel& model, const PairScorer& scorer) {
  const auto found =
      beam_search(model, sources, {.beam = 3, .nbest = 3, .max_length_extra = 6, .max_length = 12});
  std::vector<PairScorer::Pair> pairs;
  std::vector<const Hypothesis*> hypotheses;
  for (std::size_t s = 0; s < sources.size(); ++s)
    for (const auto& one : found[s]) {
      pairs.push_back({sources[s], one.tokens});
      hypotheses.push_back(&one);
    }
  const auto scores = scorer.score(pairs);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    ASSERT_EQ(scores[i].size(), pairs[i].target.size() + 1);
    const auto& said = hypotheses[i]->token_log_probabilities;
    for (std::size_t t = 0; t < said.size(); ++t) EXPECT_NEAR(scores[i][t], said[t], 2e-5) << i << ", " << t;
    EXPECT_EQ(scorer.score(std::span(pairs).subspan(i, 1))[0], scores[i]) << "alone";
  }
}

void expect_scores_of_the_search(const models::TranslationModel& model) {
  const kernels::ExecutionOwner exec(2);
  expect_scores_of_the_search(TranslationDecoder(model, exec.get()),
                              PairScorer(model, small_tokenizer(), exec.get()));
}

TEST(PairScorer, ATransformersScoresAreThoseOfItsSearch) {
  const auto model = test::small_model();
  expect_scores_of_the_search(*model);
}

class RecurrentScorer : public testing::TestWithParam<std::string> {};

TEST_P(RecurrentScorer, ScoresAreThoseOfTheSearch) {
  expect_scores_of_the_search(models::RecurrentModel(models::variant(GetParam()), 7));
}

INSTANTIATE_TEST_SUITE_P(All, RecurrentScorer, testing::ValuesIn(models::variant_names()),
                         [](const auto& variant) { return variant.param; });

TEST(PairScorer, ScoresOfSeveralModelsAreThoseOfTheirSearch) {
  const kernels::ExecutionOwner exec(2);
  std::vector<std::unique_ptr<models::TranslationModel>> models;
  for (const std::uint64_t seed : {7, 8, 9}) models.push_back(test::small_model(test::small_config(), seed));
  std::vector<PairScorer::Scores> found;
  for (const auto mean : {EnsembleMean::log_probabilities, EnsembleMean::probabilities}) {
    std::vector<std::unique_ptr<const StepModel>> steps;
    for (const auto& model : models)
      steps.push_back(std::make_unique<TranslationDecoder>(*model, exec.get()));
    const PairScorer scorer(models, small_tokenizer(), exec.get(), mean);
    expect_scores_of_the_search(Ensemble(std::move(steps), mean), scorer);
    found.push_back(scorer.score(std::vector<PairScorer::Pair>{{{5, 6, 0}, {9, 3}}})[0]);
  }
  EXPECT_NE(found[0], found[1]);
}

TEST(PairScorer, SeveralModelsMustBeOfOneKind) {
  const kernels::ExecutionOwner exec(1);
  std::vector<std::unique_ptr<models::TranslationModel>> models;
  const auto refused = [&](Error::Kind kind) {
    return message_of(kind, [&] { PairScorer(models, small_tokenizer(), exec.get()); });
  };
  EXPECT_NE(refused(Error::Kind::usage).find("there is no model"), std::string::npos);
  auto config = test::small_config();
  models.push_back(test::small_model(config));
  config.max_positions = 9;
  models.push_back(test::small_model(config));  // they take what the shorter takes
  const std::vector<std::int32_t> nine(9, 5), ten(10, 5);
  const auto scores = PairScorer(models, small_tokenizer(), exec.get())
                          .score(std::vector<PairScorer::Pair>{{nine, {5}}, {ten, {5}}, {{5, 0}, nine}});
  EXPECT_EQ(scores[0].size(), 2u);
  EXPECT_TRUE(scores[1].empty() && scores[2].empty());
  ++config.target_vocabulary, ++config.source_vocabulary;
  models.push_back(test::small_model(config));
  EXPECT_NE(refused(Error::Kind::model).find("vocabularies or special tokens differ"), std::string::npos);
}

TEST(PairScorer, ProbabilitiesOfAllNextTokensSumToOne) {
  const auto model = test::small_model();
  const kernels::ExecutionOwner exec(1);
  const PairScorer scorer(*model, small_tokenizer(), exec.get());
  std::vector<PairScorer::Pair> pairs;
  for (std::int32_t v = 0; v < 400; ++v) pairs.push_back({{5, 6, 0}, {9, v}});
  double sum = 0;
  for (const auto& scores : scorer.score(pairs)) sum += std::exp(static_cast<double>(scores[1]));
  EXPECT_NEAR(sum, 1.0, 1e-4);
  EXPECT_EQ(scorer.score(pairs)[2][1], -INFINITY);  // pad
}

TEST(PairScorer, WhatIsTooLongOrNoTokenOrNoNumber) {
  auto model = test::small_model();
  const kernels::ExecutionOwner exec(1);
  const PairScorer scorer(*model, small_tokenizer(), exec.get());
  const std::vector<std::int32_t> longest(64, 5), longer(65, 5);
  const auto scores = scorer.score(std::vector<PairScorer::Pair>{
      {longest, {5}}, {longer, {5}}, {{5, 0}, std::vector<std::int32_t>(63, 5)}, {{5, 0}, longest}});
  EXPECT_EQ(scores[0].size(), 2u);
  EXPECT_TRUE(scores[1].empty());
  EXPECT_EQ(scores[2].size(), 64u);
  EXPECT_TRUE(scores[3].empty());
  const auto bad = message_of(Error::Kind::usage, [&] {
    scorer.score(std::vector<PairScorer::Pair>{{{5, 0}, {5}}, {{5, 0}, {400}}});
  });
  EXPECT_NE(bad.find("pair 2: token 400 is not among the model's 400"), std::string::npos) << bad;
  EXPECT_TRUE(scorer.score({}).empty());
  model->parameters().views()[5].value.f32()[0] = NAN;
  const auto nan = message_of(Error::Kind::model, [&] {
    scorer.score(std::vector<PairScorer::Pair>{{{5, 0}, {5}}});
  });
  EXPECT_NE(nan.find("no numbers"), std::string::npos) << nan;
}

}  // namespace
}  // namespace fovea::decoding
