// Drawing tokens: by hand-made logits, against probabilities written down.
#include "fovea/decoding/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "fovea/base/error.h"
#include "fovea/decoding/beam_search.h"
#include "tests/base/scratch.h"
#include "tests/decoding/fake_model.h"

namespace fovea::decoding {
namespace {

using test::message_of;

const std::vector<double> probabilities{0.05, 0.4, 0.1, 0.25, 0.2};

/// How often each token comes in `count` draws.
std::map<std::int32_t, double> shares(const Sampling& sampling, const std::vector<float>& logits,
                                      int count = 20000) {
  Sampler sampler(sampling);
  std::map<std::int32_t, double> shares;
  for (int i = 0; i < count; ++i)
    shares[sampler.draw(logits, sampler.key(static_cast<std::uint64_t>(i), 0), i % 7).token] += 1.0 / count;
  return shares;
}

/// Five standard deviations of a share of that probability.
void expect_shares(const std::map<std::int32_t, double>& found, const std::map<std::int32_t, double>& wanted,
                   int count = 20000) {
  ASSERT_EQ(found.size(), wanted.size());
  for (const auto& [token, p] : wanted)
    EXPECT_NEAR(found.at(token), p, 5 * std::sqrt(p * (1 - p) / count) + 1e-9) << token;
}

TEST(Sampling, DrawsInProportion) {
  expect_shares(shares({}, logs(probabilities)), {{0, 0.05}, {1, 0.4}, {2, 0.1}, {3, 0.25}, {4, 0.2}});
}

TEST(Sampling, TemperatureIsAnExponent) {
  for (const double T : {0.5, 2.0}) {
    std::map<std::int32_t, double> wanted;
    double sum = 0;
    for (const double p : probabilities) sum += std::pow(p, 1 / T);
    for (std::size_t v = 0; v < probabilities.size(); ++v)
      wanted[static_cast<std::int32_t>(v)] = std::pow(probabilities[v], 1 / T) / sum;
    expect_shares(shares({.temperature = T}, logs(probabilities)), wanted);
  }
  expect_shares(shares({.temperature = 1e-3}, logs(probabilities)), {{1, 1.0}});
}

TEST(Sampling, TopKLeavesTheMostProbable) {
  expect_shares(shares({.top_k = 2}, logs(probabilities)), {{1, 0.4 / 0.65}, {3, 0.25 / 0.65}});
  expect_shares(shares({.top_k = 1}, logs(probabilities)), {{1, 1.0}});
  expect_shares(shares({.top_k = 2}, logs({0.25, 0.25, 0.25, 0.25})), {{0, 0.5}, {1, 0.5}});  // smaller ids
  EXPECT_EQ(shares({.top_k = 99}, logs(probabilities)).size(), 5u);
}

// The first tokens whose sum reaches p, that token included.
TEST(Sampling, TopPLeavesTheNucleus) {
  expect_shares(shares({.top_p = 0.39}, logs(probabilities)), {{1, 1.0}});
  expect_shares(shares({.top_p = 0.41}, logs(probabilities)), {{1, 0.4 / 0.65}, {3, 0.25 / 0.65}});
  expect_shares(shares({.top_p = 0.8}, logs(probabilities)),
                {{1, 0.4 / 0.85}, {3, 0.25 / 0.85}, {4, 0.2 / 0.85}});
  expect_shares(shares({.top_p = 1e-9}, logs(probabilities)), {{1, 1.0}});
  // After top_k it is a share of what is left: 0.4 / 0.65 = 0.615.
  expect_shares(shares({.top_k = 2, .top_p = 0.61}, logs(probabilities)), {{1, 1.0}});
  // After the temperature: at 2 the most probable has 0.29.
  EXPECT_EQ(shares({.temperature = 2.0, .top_p = 0.39}, logs(probabilities)).size(), 2u);
}

TEST(Sampling, MinPIsAShareOfTheGreatest) {
  expect_shares(shares({.min_p = 0.49}, logs(probabilities)),
                {{1, 0.4 / 0.85}, {3, 0.25 / 0.85}, {4, 0.2 / 0.85}});
  expect_shares(shares({.min_p = 1.0}, logs(probabilities)), {{1, 1.0}});
}

TEST(Sampling, TheNucleusOfALongTail) {
  std::vector<double> p(5000, 0.5 / 4999);
  p[17] = 0.5;
  const auto found = shares({.top_p = 0.75}, logs(p), 4000);
  EXPECT_NEAR(found.at(17), 0.5 / 0.75, 0.05);
  for (const auto& [token, share] : found) EXPECT_LE(token, 2502);  // of equals the smaller ids
}

TEST(Sampling, LogProbabilitiesAreTheModels) {
  Sampler sampler({.temperature = 0.3, .top_k = 2});
  for (std::uint64_t i = 0; i < 50; ++i) {
    const Drawn drawn = sampler.draw(logs(probabilities), sampler.key(i, 0), 3);
    EXPECT_NEAR(drawn.log_probability, std::log(probabilities[static_cast<std::size_t>(drawn.token)]), 1e-6);
  }
}

TEST(Sampling, NothingAllowedAndNoNumbers) {
  Sampler sampler({});
  const auto key = sampler.key(1, 0);
  EXPECT_EQ(sampler.draw(std::vector<float>{minus_infinity, minus_infinity}, key, 0).token, Drawn::nothing);
  EXPECT_EQ(sampler.draw(std::vector<float>{minus_infinity, 3.0f}, key, 0).token, 1);
  for (const float bad : {std::nanf(""), -minus_infinity})
    EXPECT_EQ(sampler.draw(std::vector<float>{1.0f, bad, 3.0f}, key, 0).token, Drawn::not_a_number);
}

TEST(Sampling, DrawsDependOnSeedSentenceHypothesisAndPositionAlone) {
  const std::vector<float> logits(1000, 0.0f);
  Sampler one({.seed = 1}), two({.seed = 2}), again({.seed = 1});
  const auto draw = [&](Sampler& sampler, std::uint64_t sentence, std::uint32_t number,
                        std::int64_t position) {
    return sampler.draw(logits, sampler.key(sentence, number), position).token;
  };
  const auto first = draw(one, 5, 0, 3);
  EXPECT_NE(draw(two, 5, 0, 3), first);
  EXPECT_NE(draw(one, 6, 0, 3), first);
  EXPECT_NE(draw(one, 5, 1, 3), first);
  EXPECT_NE(draw(one, 5, 0, 4), first);
  EXPECT_EQ(draw(again, 5, 0, 3), first);
}

// Two tokens and their ends: the share of each sentence is its probability.
TEST(SampledSearch, SentencesComeAsOftenAsTheyAreProbable) {
  const FakeModel model = table_model({logs({0.2, 0.5, 0.3}), logs({0.7, 0.1, 0.2}), logs({0.4, 0.4, 0.2})});
  std::map<Ids, double> found;
  for (const Sampling& sampling : {Sampling{}, Sampling{.top_k = 3}}) {
    found.clear();
    const auto results =
        beam_search(model, {{{9}, {}, 4}}, {.beam = 1, .nbest = 20000, .sampling = sampling}, {});
    ASSERT_EQ(results[0].size(), 20000u);
    for (const auto& one : results[0]) {
      found[one.tokens] += 1.0 / 20000;
      EXPECT_NEAR(
          one.log_probability,
          std::accumulate(one.token_log_probabilities.begin(), one.token_log_probabilities.end(), 0.0), 1e-4);
    }
    for (const auto& [tokens, p] : std::map<Ids, double>{
             {{}, 0.2}, {{1}, 0.35}, {{2}, 0.12}, {{1, 2}, 0.5 * 0.2 * 0.4}, {{2, 1}, 0.3 * 0.4 * 0.7}})
      EXPECT_NEAR(found[tokens], p, 5 * std::sqrt(p / 20000));
  }
}

TEST(SampledSearch, NumberIIsTheSameHoweverManyThereAre) {
  const FakeModel model = hash_model(50, 1.0f, 1.0f);
  const auto draw = [&](std::int64_t n, std::uint64_t seed, std::uint64_t sentence) {
    return beam_search(model, {{{3, 4}, {}, sentence}},
                       {.beam = 1, .nbest = n, .max_length = 9, .sampling = Sampling{.seed = seed}}, {})[0];
  };
  const auto few = draw(2, 1, 0), many = draw(10, 1, 0);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(few[i].tokens, many[i].tokens);
  EXPECT_NE(draw(1, 2, 0)[0].tokens, few[0].tokens);
  EXPECT_NE(draw(1, 1, 7)[0].tokens, few[0].tokens);
  EXPECT_NE(few[0].tokens, few[1].tokens);
}

TEST(SampledSearch, ConstraintsHold) {
  FakeModel model = table_model({{0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}});
  model.banned_ids = {3};
  for (const std::int64_t top_k : {0, 2, 4}) {
    const auto found = beam_search(model, {{{9}}},
                                   {.beam = 1,
                                    .nbest = 300,
                                    .max_length = 6,
                                    .min_length = 2,
                                    .suppressed = {2},
                                    .sampling = Sampling{.top_k = top_k}},
                                   {});
    for (const auto& one : found[0]) {
      EXPECT_GE(one.tokens.size(), 2u);
      for (const auto token : one.tokens) EXPECT_EQ(token, 1);
      EXPECT_EQ(one.token_log_probabilities[0], 0.0f);  // of the one token that was left
    }
  }
}

TEST(SampledSearch, E04_NaNNamesItsPlace) {
  for (const std::int64_t top_k : {0, 3}) {
    const FakeModel model(5, [](const Ids&, const Ids& past) {
      std::vector<float> logits{-50, 1, 1, 1, 1};
      if (past.size() == 2) logits[4] = std::nanf("");
      return logits;
    });
    const auto message = message_of(Error::Kind::model, [&] {
      beam_search(model, {{9}}, {.beam = 1, .sampling = Sampling{.top_k = top_k}});
    });
    EXPECT_NE(message.find("token 4 is NaN at step 2 of sentence 0"), std::string::npos) << message;
  }
}

TEST(SampledSearch, WhereNothingCanFollowTheSentenceIsCut) {
  const float no = minus_infinity;
  for (const std::int64_t top_k : {0, 2}) {
    const auto found = beam_search(table_model({{no, 0, no}, {no, no, 0}, {no, no, no}}), {{9}},
                                   {.beam = 1, .nbest = 2, .sampling = Sampling{.top_k = top_k}})[0];
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[1].tokens, (Ids{1, 2}));
    EXPECT_FALSE(found[1].complete);
  }
}

TEST(SampledSearch, OptionsOutOfRangeAreNamed) {
  const FakeModel model = hash_model(100);
  const auto refused = [&](std::string_view part, const Sampling& sampling, std::int64_t beam = 1) {
    const auto message = message_of(Error::Kind::usage,
                                    [&] { beam_search(model, {{9}}, {.beam = beam, .sampling = sampling}); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  refused("temperature: is 0", {.temperature = 0});
  refused("temperature", {.temperature = std::nan("")});
  refused("top k: is -1", {.top_k = -1});
  refused("top p: is 0", {.top_p = 0});
  refused("top p: is 1.5", {.top_p = 1.5});
  refused("min p: is 2", {.min_p = 2});
  refused("beam: is 4, but hypotheses are drawn", {}, 4);
}

}  // namespace
}  // namespace fovea::decoding
