// The coverage penalty of Wu et al. 2016: the formula, what it changes, and that it costs nothing when off.
#include "fovea/decoding/coverage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fovea/base/error.h"
#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/translation_decoder.h"
#include "fovea/models/alignment.h"
#include "tests/base/scratch.h"
#include "tests/decoding/fake_model.h"
#include "tests/decoding/small_model.h"

namespace fovea::decoding {
namespace {

using test::message_of;

using Looks = FakeModel::Looks;

/// Weights that depend on everything.
std::vector<float> hashed_look(const Ids& source, const Ids& past) {
  const auto key =
      RandomKey::of(static_cast<std::uint64_t>(source[0]), static_cast<std::uint32_t>(past.size()), 5);
  const std::uint64_t turn = past.empty() ? 0 : 31 * static_cast<std::uint64_t>(past.back());
  std::vector<float> weights;
  float sum = 0.0f;
  for (std::size_t s = 0; s < source.size(); ++s) {
    weights.push_back(std::exp(2.0f * normal(key, turn + s)));
    sum += weights.back();
  }
  for (float& weight : weights) weight /= sum;
  return weights;
}

std::vector<Ids> sources_of(int count) {
  std::vector<Ids> sources;
  for (int i = 0; i < count; ++i) sources.push_back(Ids(static_cast<std::size_t>(1 + i % 5), 100 + i));
  return sources;
}

/// Equation (14) written down for a hypothesis, from the model's functions alone.
double penalty_of(const Hypothesis& one, const Ids& source, double beta, const Looks& looks) {
  std::vector<double> covered(source.size(), 0.0);
  Ids past;
  for (std::size_t j = 0; j < one.token_log_probabilities.size(); ++j) {
    const auto weights = looks(source, past);
    for (std::size_t i = 0; i < source.size(); ++i) covered[i] += static_cast<double>(weights[i]);
    if (j < one.tokens.size()) past.push_back(one.tokens[j]);
  }
  double sum = 0.0;
  for (const double got : covered) sum += std::log(std::min(got, 1.0));
  return beta * sum;
}

TEST(CoveragePenalty, IsTheFormula) {
  const CoveragePenalty penalty{0.2};
  EXPECT_NEAR(penalty(std::vector<double>{0.5, 1.0, 3.0, 0.25}), 0.2 * (std::log(0.5) + std::log(0.25)),
              1e-15);
  EXPECT_EQ(penalty({}), 0.0);
  EXPECT_NEAR(penalty(std::vector<double>{0.0}), 0.2 * std::log(CoveragePenalty::least), 1e-15);
  EXPECT_EQ(CoveragePenalty{}(std::vector<double>{0.1}), 0.0);
}

TEST(Coverage, SumsStepsAndFollowsRows) {
  Coverage coverage;
  coverage.begin(2);
  const auto row = [&](std::size_t i) {
    return std::vector<double>(coverage.row(i).begin(), coverage.row(i).end());
  };
  coverage.add(std::vector<float>{0.5f, 0.5f});
  coverage.reorder(std::vector<std::int32_t>{0, 0, 0});
  coverage.add(std::vector<float>{1.0f, 0.0f, 0.25f, 0.75f, 0.0f, 1.0f});
  EXPECT_EQ(row(1), (std::vector<double>{0.75, 1.25}));
  coverage.reorder(std::vector<std::int32_t>{2, 0});
  EXPECT_EQ(row(0), (std::vector<double>{0.5, 1.5}));
  EXPECT_EQ(row(1), (std::vector<double>{1.5, 0.5}));
  EXPECT_NE(message_of(Error::Kind::bug, [&] { coverage.add(std::vector<float>{1.0f}); }).find("other rows"),
            std::string::npos);
  coverage.begin(1);
  EXPECT_EQ(row(0), std::vector<double>{0.0});
}

// In batches of sentences that end at different times and beams that reorder at every step.
TEST(BeamSearch, ScoresWithCoverageAreTheFormula) {
  FakeModel model = hash_model(20, 1.0f, 2.0f);
  model.looks = hashed_look;
  const auto sources = sources_of(20);
  const LengthPenalty length{LengthPenalty::Kind::gnmt, 0.6};
  for (const auto stop : {Stop::bound, Stop::exact, Stop::first}) {
    const auto results = beam_search(model, sources,
                                     {.beam = 4,
                                      .nbest = 4,
                                      .length_penalty = length,
                                      .coverage_penalty = {0.3},
                                      .stop = stop,
                                      .max_length = 8});
    for (std::size_t s = 0; s < sources.size(); ++s) {
      for (std::size_t i = 0; i < results[s].size(); ++i) {
        const Hypothesis& one = results[s][i];
        EXPECT_NEAR(one.score,
                    one.log_probability / length(std::ssize(one.token_log_probabilities)) +
                        penalty_of(one, sources[s], 0.3, hashed_look),
                    1e-6);
        const bool ranked = i > 0 && one.complete == results[s][i - 1].complete;
        EXPECT_TRUE(!ranked || one.score <= results[s][i - 1].score);
      }
    }
  }
}

// With a beam that holds every prefix nothing is lost: the best of all hypotheses by equation (14) is found.
TEST(BeamSearch, AWideBeamFindsTheBestByCoverage) {
  FakeModel model = hash_model(3, 1.0f, 1.0f);
  model.looks = hashed_look;
  for (const Ids& source : sources_of(20)) {
    const BeamOptions every{.beam = 32, .nbest = 32, .stop = Stop::exact, .max_length = 4};
    auto all = beam_search(model, {source}, every)[0];
    std::erase_if(all, [](const Hypothesis& one) { return !one.complete; });
    const auto value = [&](const Hypothesis& one) {
      return one.score + penalty_of(one, source, 0.5, hashed_look);
    };
    const auto best = std::ranges::max_element(all, {}, value);
    BeamOptions covering = every;
    covering.nbest = 1;
    covering.coverage_penalty.beta = 0.5;
    const auto found = beam_search(model, {source}, covering)[0][0];
    EXPECT_EQ(found.tokens, best->tokens);
    EXPECT_NEAR(found.score, value(*best), 1e-6);
  }
}

// Ids: 0 = eos. "1" is likelier, but looks at the first token twice; "2" looks at both.
TEST(BeamSearch, CoverageChangesTheAnswer) {
  FakeModel model = table_model(
      {logs({0.0001, 0.6, 0.3999}), logs({0.999, 0.0005, 0.0005}), logs({0.999, 0.0005, 0.0005})});
  model.looks = [](const Ids&, const Ids& past) {
    const bool second = !past.empty() && past.back() == 2;
    return second ? std::vector{0.1f, 0.9f} : std::vector{0.9f, 0.1f};
  };
  const auto best = [&](double beta) {
    return beam_search(model, {{9, 8}}, {.beam = 2, .coverage_penalty = {beta}, .max_length = 6})[0][0]
        .tokens;
  };
  EXPECT_EQ(best(0.0), Ids{1});
  EXPECT_EQ(best(1.0), Ids{2});
}

TEST(BeamSearch, WithoutCoverageNobodyLooks) {
  FakeModel model = hash_model(20, 1.0f, 2.0f);
  model.looks = hashed_look;
  const auto sources = sources_of(10);
  const BeamOptions plain{.beam = 3, .nbest = 3, .max_length = 8};
  BeamOptions looked = plain;
  looked.attention = true;
  const auto without = beam_search(model, sources, plain);
  EXPECT_EQ(model.watched, 0);
  const auto with = beam_search(model, sources, looked);
  EXPECT_GT(model.watched, 0);
  for (std::size_t s = 0; s < sources.size(); ++s)
    for (std::size_t i = 0; i < without[s].size(); ++i) {
      EXPECT_EQ(with[s][i].tokens, without[s][i].tokens);
      EXPECT_EQ(with[s][i].score, without[s][i].score);
      EXPECT_TRUE(without[s][i].attention.empty());
    }
}

TEST(BeamSearch, HypothesesSayWhereTheyLooked) {
  FakeModel model = hash_model(20, 1.0f, 2.0f);
  model.looks = hashed_look;
  const auto sources = sources_of(20);
  const auto results =
      beam_search(model, sources, {.beam = 4, .nbest = 4, .attention = true, .max_length = 8});
  for (std::size_t s = 0; s < sources.size(); ++s)
    for (const Hypothesis& one : results[s]) {
      std::vector<float> expected;
      Ids past;
      for (std::size_t j = 0; j < one.token_log_probabilities.size(); ++j) {
        const auto weights = hashed_look(sources[s], past);
        expected.insert(expected.end(), weights.begin(), weights.end());
        if (j < one.tokens.size()) past.push_back(one.tokens[j]);
      }
      EXPECT_EQ(one.attention, expected);
    }
}

TEST(BeamSearch, AModelThatDoesNotLookSaysSo) {
  const FakeModel blind = hash_model(10);
  for (const bool attention : {false, true}) {
    const BeamOptions options{.coverage_penalty = {attention ? 0.0 : 0.2}, .attention = attention};
    EXPECT_NE(message_of(Error::Kind::usage, [&] { beam_search(blind, {{9}}, options); })
                  .find("the model has no attention to its source"),
              std::string::npos);
  }
}

TEST(BeamSearch, ACoveragePenaltyOutOfRangeIsNamed) {
  const FakeModel model = hash_model(10);
  for (const double beta : {-0.1, std::nan("")})
    EXPECT_NE(message_of(Error::Kind::usage, [&] { beam_search(model, {{9}}, {.coverage_penalty = {beta}}); })
                  .find("coverage penalty: is "),
              std::string::npos);
}

TEST(BeamSearch, WeightsOfOtherSourcesAreOurBug) {
  FakeModel model = hash_model(10);
  model.looks = [](const Ids&, const Ids&) { return std::vector{1.0f}; };
  EXPECT_NE(message_of(Error::Kind::bug,
                       [&] {
                         beam_search(model, {{9, 9}}, {.attention = true});
                       })
                .find("a weight a source token"),
            std::string::npos);
}

// A Transformer's steps look where it looks when it reads the pair at once, and say the same as unwatched.
TEST(TranslationDecoder, StepsLookWhereReadingLooks) {
  const auto model = test::small_model();
  const kernels::ExecutionOwner exec(1);
  const TranslationDecoder decoder(*model, exec.get());
  ops::Context ctx;
  ctx.exec = exec.get();
  const std::vector<Ids> sources{{30, 31, 32, 0}, {40, 0}, {50, 51, 0}};
  const BeamOptions options{.beam = 3, .nbest = 2, .attention = true, .max_length = 12};
  const auto found = beam_search(decoder, sources, options);
  const auto unwatched = beam_search(decoder, sources, {.beam = 3, .nbest = 2, .max_length = 12});
  for (std::size_t s = 0; s < sources.size(); ++s) {
    for (std::size_t i = 0; i < found[s].size(); ++i) {
      const Hypothesis& one = found[s][i];
      EXPECT_EQ(one.tokens, unwatched[s][i].tokens);
      EXPECT_EQ(one.score, unwatched[s][i].score);
      const Tensor read = models::cross_attention(ctx, *model, sources[s], one.tokens, /*layer=*/1);
      ASSERT_LE(one.attention.size(), read.values().size());
      for (std::size_t n = 0; n < one.attention.size(); ++n)
        EXPECT_NEAR(one.attention[n], read.values()[n], 1e-5);
    }
  }
}

}  // namespace
}  // namespace fovea::decoding
