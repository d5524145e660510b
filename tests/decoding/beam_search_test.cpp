#include "fovea/decoding/beam_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>

#include "fovea/base/error.h"
#include "tests/decoding/fake_model.h"

namespace fovea::decoding {
namespace {

std::vector<Ids> numbered_sources(int count) {
  std::vector<Ids> sources;
  for (int i = 0; i < count; ++i) sources.push_back(Ids(static_cast<std::size_t>(1 + i % 5), 100 + i));
  return sources;
}

std::vector<float> logits_after(const FakeModel& model, const Ids& source, const Ids& past) {
  const auto state = model.start({source});
  Tensor logits;
  Ids fed{model.start_token({})};
  fed.insert(fed.end(), past.begin(), past.end());
  for (const auto token : fed) logits = model.step(*state, Ids{token});
  return {logits.values().begin(), logits.values().end()};
}

// Every complete hypothesis of at most max_length tokens (end of sentence counted), best first.
std::vector<Hypothesis> all_hypotheses(const FakeModel& model, const Ids& source,
                                       const BeamOptions& options) {
  std::vector<Hypothesis> found;
  const std::function<void(Ids, double)> extend = [&](const Ids& past, double log_probability) {
    const auto length = static_cast<std::int64_t>(past.size()) + 1;
    Ids banned = model.banned_ids;
    if (length <= options.min_length) banned.push_back(model.ends().front());
    const auto log_probabilities = log_softmax(logits_after(model, source, past), banned);
    for (std::size_t v = 0; v < log_probabilities.size(); ++v) {
      const double sum = log_probability + log_probabilities[v];
      if (log_probabilities[v] == minus_infinity) continue;
      if (static_cast<std::int32_t>(v) == model.ends().front()) {
        found.push_back({past, sum / options.length_penalty(length), sum, {}, true});
      } else if (length < options.max_length) {
        Ids longer = past;
        longer.push_back(static_cast<std::int32_t>(v));
        extend(longer, sum);
      }
    }
  };
  extend({}, 0.0);
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
  return found;
}

void expect_same(const std::vector<Hypothesis>& found, const std::vector<Hypothesis>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].tokens, expected[i].tokens);
    EXPECT_EQ(found[i].score, expected[i].score);
    EXPECT_EQ(found[i].token_log_probabilities, expected[i].token_log_probabilities);
    EXPECT_EQ(found[i].complete, expected[i].complete);
  }
}

template <class Action>
void expect_error(Error::Kind kind, std::string_view part, Action&& action) {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what();
  }
}

using Penalty = LengthPenalty::Kind;

TEST(BeamSearch, AWideBeamFindsWhatExhaustiveSearchFinds) {
  const FakeModel model = hash_model(4);
  for (const auto penalty : {LengthPenalty{Penalty::power, 0.0}, LengthPenalty{Penalty::power, 1.0},
                             LengthPenalty{Penalty::power, -0.5}, LengthPenalty{Penalty::gnmt, 0.6},
                             LengthPenalty{Penalty::gnmt, 2.0}}) {
    for (const std::int64_t min_length : {0, 2}) {
      const BeamOptions options{.beam = 256,
                                .nbest = 20,
                                .length_penalty = penalty,
                                .stop = Stop::exact,
                                .max_length = 4,
                                .min_length = min_length};
      const auto sources = numbered_sources(5);
      const auto results = beam_search(model, sources, options);
      for (std::size_t s = 0; s < sources.size(); ++s) {
        const auto expected = all_hypotheses(model, sources[s], options);
        ASSERT_EQ(results[s].size(), 20u);
        for (std::size_t i = 0; i < 20; ++i) {
          EXPECT_EQ(results[s][i].tokens, expected[i].tokens);
          EXPECT_NEAR(results[s][i].score, expected[i].score, 1e-5);
          EXPECT_NEAR(results[s][i].log_probability, expected[i].log_probability, 1e-5);
        }
      }
    }
  }
}

// Every prefix of at most 5 tokens fits into the beam, and many hypotheses are complete long before the last
// step.
TEST(BeamSearch, ExactStoppingNeverEndsBeforeTheOptimum) {
  const FakeModel model = hash_model(3, 1.0f, 1.0f);
  const BeamOptions options{
      .beam = 16, .length_penalty = {Penalty::power, 1.5}, .stop = Stop::exact, .max_length = 5};
  const auto sources = numbered_sources(30);
  const auto results = beam_search(model, sources, options);
  for (std::size_t s = 0; s < sources.size(); ++s)
    EXPECT_EQ(results[s][0].tokens, all_hypotheses(model, sources[s], options)[0].tokens) << s;
}

TEST(BeamSearch, G11_BeamOneIsGreedy) {
  const FakeModel model = hash_model(50, 1.0f, 0.5f);
  const auto sources = numbered_sources(40);
  for (const auto stop : {Stop::bound, Stop::exact, Stop::first}) {
    const auto results = beam_search(model, sources, {.beam = 1, .stop = stop, .max_length = 20});
    int complete = 0;
    for (std::size_t s = 0; s < sources.size(); ++s) {
      Ids tokens;
      double log_probability = 0;
      bool ended = false;
      while (!ended && tokens.size() < 20) {
        const auto log_probabilities = log_softmax(logits_after(model, sources[s], tokens));
        const auto best = std::max_element(log_probabilities.begin(), log_probabilities.end());
        log_probability += *best;
        ended = best == log_probabilities.begin();
        if (!ended) tokens.push_back(static_cast<std::int32_t>(best - log_probabilities.begin()));
      }
      EXPECT_EQ(results[s][0].tokens, tokens);
      EXPECT_EQ(results[s][0].complete, ended);
      EXPECT_NEAR(results[s][0].log_probability, log_probability, 1e-4);
      complete += ended;
    }
    EXPECT_GT(complete, 5);
    EXPECT_LT(complete, 40);
  }
}

TEST(BeamSearch, G09_G11_ResultsDoNotDependOnBatchOrOrder) {
  const FakeModel model = hash_model(30, 1.0f, 2.0f);
  const BeamOptions options{.beam = 4, .nbest = 4, .max_length = 15};
  const auto sources = numbered_sources(64);
  const auto together = beam_search(model, sources, options);
  auto reversed = sources;
  std::reverse(reversed.begin(), reversed.end());
  const auto backwards = beam_search(model, reversed, options);
  for (std::size_t s = 0; s < sources.size(); ++s) {
    expect_same(together[s], beam_search(model, {sources[s]}, options)[0]);
    expect_same(together[s], backwards[sources.size() - 1 - s]);
  }
  const auto first = beam_search(model, {sources.begin(), sources.begin() + 7}, options);
  for (std::size_t s = 0; s < 7; ++s) expect_same(together[s], first[s]);
}

TEST(BeamSearch, NBestIsSortedAndDistinct) {
  const FakeModel model = hash_model(20, 1.0f, 2.0f);
  for (const auto& result :
       beam_search(model, numbered_sources(20), {.beam = 6, .nbest = 6, .max_length = 12})) {
    ASSERT_EQ(result.size(), 6u);
    std::set<std::pair<Ids, bool>> distinct;
    for (std::size_t i = 0; i < result.size(); ++i) {
      distinct.insert({result[i].tokens, result[i].complete});
      if (i == 0) continue;
      EXPECT_GE(result[i - 1].complete, result[i].complete);
      EXPECT_TRUE(result[i - 1].complete != result[i].complete || result[i - 1].score >= result[i].score);
    }
    EXPECT_EQ(distinct.size(), 6u);
  }
}

TEST(BeamSearch, ScoresAddUp) {
  const FakeModel model = hash_model(20, 1.0f, 2.0f);
  const LengthPenalty penalty{Penalty::gnmt, 0.6};
  for (const auto& result :
       beam_search(model, numbered_sources(20),
                   {.beam = 3, .nbest = 3, .length_penalty = penalty, .max_length = 8})) {
    for (const auto& one : result) {
      ASSERT_EQ(one.token_log_probabilities.size(), one.tokens.size() + (one.complete ? 1 : 0));
      const double sum =
          std::accumulate(one.token_log_probabilities.begin(), one.token_log_probabilities.end(), 0.0);
      EXPECT_DOUBLE_EQ(one.log_probability, sum);
      EXPECT_DOUBLE_EQ(one.score,
                       sum / penalty(static_cast<std::int64_t>(one.token_log_probabilities.size())));
    }
  }
}

// Ids: 0 = eos, 1, 2. The greedy first step leads into a poor continuation.
TEST(BeamSearch, AWiderBeamFindsWhatGreedyMisses) {
  const FakeModel model =
      table_model({logs({0.01, 0.55, 0.44}), logs({0.34, 0.33, 0.33}), logs({0.98, 0.01, 0.01})});
  EXPECT_EQ(beam_search(model, {{9}}, {.beam = 1, .max_length = 6})[0][0].tokens.front(), 1);
  EXPECT_EQ(beam_search(model, {{9}}, {.beam = 2, .max_length = 6})[0][0].tokens, Ids{2});
}

TEST(BeamSearch, LengthPenaltyChoosesBetweenShortAndLong) {
  // Ending at once: ln 0.5 = -0.69; "1 1 1 ... eos" costs ln 0.5 + 3 ln 0.9 + ... for four tokens more.
  const FakeModel model =
      table_model({logs({0.5, 0.4999, 0.0001}), logs({0.1, 0.8999, 0.0001}), logs({1, 1e-9, 1e-9})});
  const auto best = [&](Penalty kind, double alpha) {
    return beam_search(
               model, {{9}},
               {.beam = 2, .length_penalty = {kind, alpha}, .stop = Stop::exact, .max_length = 12})[0][0]
        .tokens.size();
  };
  EXPECT_EQ(best(Penalty::power, 0.0), 0u);
  EXPECT_GT(best(Penalty::power, 1.0), 5u);
  EXPECT_EQ(best(Penalty::gnmt, 0.0), 0u);
  EXPECT_GT(best(Penalty::gnmt, 3.0), 5u);
  EXPECT_NEAR((LengthPenalty{Penalty::gnmt, 0.6}(7)), std::pow(12.0, 0.6) / std::pow(6.0, 0.6), 1e-12);
  EXPECT_NEAR((LengthPenalty{Penalty::power, 0.6}(7)), std::pow(7.0, 0.6), 1e-12);
}

// Token 1 is unlikely at first and sure afterwards: the longer, the better its mean, up to the greatest
// length.
TEST(BeamSearch, StopDecidesHowLongIsLookedOn) {
  const FakeModel model(3, [](const Ids&, const Ids& past) {
    if (past.empty()) return logs({0.5, 0.1, 0.4});
    if (past.back() == 2) return logs({0.98, 0.01, 0.01});
    return past.size() < 9 ? logs({0.001, 0.998, 0.001}) : logs({0.998, 0.001, 0.001});
  });
  const auto search = [&](Stop stop) {
    model.rows_of_steps.clear();
    const auto length =
        beam_search(model, {{9}}, {.beam = 2, .stop = stop, .max_length = 12})[0][0].tokens.size();
    return std::pair(length, model.rows_of_steps.size());
  };
  EXPECT_EQ(search(Stop::first), std::pair(std::size_t{1}, std::size_t{2}));
  EXPECT_EQ(search(Stop::bound), std::pair(std::size_t{1}, std::size_t{2}));
  EXPECT_EQ(search(Stop::exact).first, 9u);
}

TEST(BeamSearch, BoundGoesOnWhereFirstStops) {
  // Two poor endings come at once; "1 1" ends a step later with a far better sum.
  const FakeModel model(3, [](const Ids&, const Ids& past) {
    if (past.empty()) return logs({0.28, 0.7, 0.02});
    if (past.size() == 1) return past[0] == 1 ? logs({0.01, 0.98, 0.01}) : logs({0.5, 0.25, 0.25});
    return logs({0.98, 0.01, 0.01});
  });
  const auto best = [&](Stop stop) {
    return beam_search(model, {{9}}, {.beam = 2, .length_penalty = {Penalty::power, 0.0}, .stop = stop})[0][0]
        .tokens;
  };
  EXPECT_EQ(best(Stop::first), Ids{});
  EXPECT_EQ(best(Stop::bound), (Ids{1, 1}));
  EXPECT_EQ(best(Stop::exact), (Ids{1, 1}));
}

// At the second step "1 eos" ranks first, "1 1" second, "2 eos" third: with a beam of 2 the third does not
// count.
TEST(BeamSearch, AnEndingBelowTheFirstBeamCandidatesIsDropped) {
  const FakeModel model(3, [](const Ids&, const Ids& past) {
    if (past.empty()) return logs({0.001, 0.5, 0.499});
    if (past == Ids{1}) return logs({0.6, 0.39, 0.01});
    if (past == Ids{2}) return logs({0.3, 0.29, 0.28});
    return logs({0.1, 0.45, 0.45});
  });
  const auto holds_two = [&](std::int64_t beam) {
    const auto result = beam_search(
        model, {{9}}, {.beam = beam, .nbest = 2, .length_penalty = {Penalty::power, 0.0}, .max_length = 9});
    EXPECT_EQ(result[0][0].tokens, Ids{1});
    return result[0][1].tokens == Ids{2};
  };
  EXPECT_FALSE(holds_two(2));
  EXPECT_TRUE(holds_two(3));
}

TEST(BeamSearch, GreatestLengthIsTheLeastOfItsLimits) {
  const FakeModel endless = table_model({logs({1e-6, 1.0}), logs({1e-6, 1.0})});
  const Ids source(10, 9);
  const auto length = [&](const BeamOptions& options) {
    const auto one = beam_search(endless, {source}, options)[0][0];
    EXPECT_FALSE(one.complete);
    EXPECT_EQ(one.tokens.size(), one.token_log_probabilities.size());
    EXPECT_DOUBLE_EQ(one.score, one.log_probability / options.length_penalty(std::ssize(one.tokens)));
    return one.tokens.size();
  };
  EXPECT_EQ(length({.beam = 1, .max_length_ratio = 1.5, .max_length_extra = 3}), 18u);
  EXPECT_EQ(length({.beam = 1, .max_length_ratio = 1.5, .max_length_extra = 3, .max_length = 11}), 11u);
  EXPECT_EQ(length({.beam = 1, .max_length_ratio = 0.0, .max_length_extra = 0}), 1u);
  EXPECT_EQ(length({.beam = 1, .max_length_ratio = 1e300}), 512u);
  FakeModel small = table_model({logs({1e-6, 1.0}), logs({1e-6, 1.0})});
  small.positions = 7;
  EXPECT_EQ(beam_search(small, {source}, {.beam = 1})[0][0].tokens.size(), 7u);
}

TEST(BeamSearch, CompleteHypothesesComeBeforeCutOnes) {
  // Ending is ten times less likely than going on, at each step.
  const FakeModel model = table_model({logs({0.05, 0.95}), logs({0.05, 0.95})});
  const auto result = beam_search(
      model, {{9}}, {.beam = 3, .nbest = 3, .length_penalty = {Penalty::power, 0.0}, .max_length = 2})[0];
  ASSERT_EQ(result.size(), 3u);
  EXPECT_TRUE(result[0].complete && result[1].complete);
  EXPECT_FALSE(result[2].complete);
  EXPECT_GT(result[2].score, result[0].score);
}

TEST(BeamSearch, MinLengthKeepsASentenceOpen) {
  const FakeModel model = table_model({logs({0.9, 0.1}), logs({0.9, 0.1})});
  for (const std::int64_t length : {0, 1, 5}) {
    const auto one = beam_search(model, {{9}}, {.beam = 2, .min_length = length})[0][0];
    EXPECT_EQ(one.tokens, Ids(static_cast<std::size_t>(length), 1));
    EXPECT_TRUE(one.complete);
  }
}

TEST(BeamSearch, BannedIdsAreNeverChosen) {
  FakeModel model = table_model({logs({0.01, 0.9, 0.09}), logs({0.9, 0.05, 0.05}), logs({0.3, 0.6, 0.1})});
  EXPECT_EQ(beam_search(model, {{9}})[0][0].tokens, Ids{1});
  model.banned_ids = {1};
  const auto results = beam_search(model, {{9}}, {.beam = 4, .nbest = 4});
  for (const auto& one : results[0]) EXPECT_EQ(std::count(one.tokens.begin(), one.tokens.end(), 1), 0);
  EXPECT_NEAR(beam_search(model, {{9}})[0][0].token_log_probabilities[0], std::log(0.9),
              1e-5);  // of what is left
  model.banned_ids = {0, 1, 2, 2, 77};
  expect_error(Error::Kind::model, "banned", [&] { beam_search(model, {{9}}); });
}

TEST(BeamSearch, TiesGoToTheSmallerToken) {
  const FakeModel model = table_model({{0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}});
  const auto result = beam_search(model, {{9}}, {.beam = 2, .nbest = 2, .max_length = 3, .min_length = 1})[0];
  EXPECT_EQ(result[0].tokens, Ids{1});
  EXPECT_EQ(beam_search(model, {{9}}, {.beam = 1})[0][0].tokens, Ids{});
}

TEST(BeamSearch, MinusInfinityIsProbabilityZero) {
  const float no = minus_infinity;
  const FakeModel model = table_model({{no, 0, no}, {no, no, 0}, {0, no, no}});
  const auto result = beam_search(model, {{9}}, {.beam = 4, .nbest = 4})[0];
  ASSERT_EQ(result.size(), 1u);
  EXPECT_EQ(result[0].tokens, (Ids{1, 2}));
  EXPECT_EQ(result[0].log_probability, 0.0);
}

TEST(BeamSearch, WhereNothingCanFollowTheSentenceIsCut) {
  const float no = minus_infinity;
  const auto one = beam_search(table_model({{no, 0, no}, {no, no, 0}, {no, no, no}}), {{9}})[0][0];
  EXPECT_EQ(one.tokens, (Ids{1, 2}));
  EXPECT_FALSE(one.complete);
  const auto nothing = beam_search(table_model({{no, no, no}}), {{9}})[0];
  ASSERT_EQ(nothing.size(), 1u);
  EXPECT_TRUE(nothing[0].tokens.empty());
  EXPECT_FALSE(nothing[0].complete);
}

TEST(BeamSearch, E04_NaNAndInfinityNameTheirPlace) {
  for (const auto& [value, name] : {std::pair{std::nanf(""), "NaN"}, {-minus_infinity, "infinite"}}) {
    for (std::size_t bad_token = 0; bad_token < 40; ++bad_token) {
      const FakeModel model(40, [&, value = value](const Ids& source, const Ids& past) {
        std::vector<float> logits(40, -1.0f);
        logits[1 + past.size()] = 1.0f;
        logits[5] = -200.0f;
        if (source[0] == 12 && past.size() == 2) logits[bad_token] = value;
        return logits;
      });
      expect_error(Error::Kind::model,
                   "token " + std::to_string(bad_token) + " is " + name + " at step 2 of sentence 1", [&] {
                     beam_search(model, {{11}, {12}, {13}}, {.beam = 3});
                   });
    }
  }
}

TEST(BeamSearch, FinishedSentencesLeaveTheBatchAtOnce) {
  // A source of id n ends after n tokens.
  const FakeModel model(3, [](const Ids& source, const Ids& past) {
    return std::ssize(past) < source[0] ? logs({1e-9, 1.0, 1e-9}) : logs({1.0, 1e-9, 1e-9});
  });
  beam_search(model, {{3}, {1}, {0}, {3}}, {.beam = 1});
  EXPECT_EQ(model.rows_of_steps, (std::vector<std::int64_t>{4, 3, 2, 2}));
}

TEST(BeamSearch, NoSourcesNoResults) { EXPECT_TRUE(beam_search(hash_model(5), {}).empty()); }

TEST(BeamSearch, OptionsOutOfRangeAreNamed) {
  const FakeModel model = hash_model(100);
  const auto refused = [&](std::string_view part, const BeamOptions& options) {
    expect_error(Error::Kind::usage, part, [&] { beam_search(model, {{9}}, options); });
  };
  refused("beam: is 0", {.beam = 0});
  refused("beam: is 33", {.beam = 33});
  refused("nbest: is 6 with beam 5", {.nbest = 6});
  refused("nbest: is 0", {.nbest = 0});
  refused("max length", {.max_length = 0});
  refused("min length", {.min_length = -1});
  refused("max length ratio", {.max_length_ratio = -1.0});
  refused("length penalty", {.length_penalty = {Penalty::power, std::nan("")}});
}

TEST(BeamSearch, SameAnswerFromEveryKernelSetAndThreadCount) {
  class Other : public FakeModel {
   public:
    Other(const FakeModel& model, int threads, kernels::KernelSet set)
        : FakeModel(
              model.vocabulary(),
              [&model](const Ids& source, const Ids& past) { return logits_after(model, source, past); }),
          owner_(threads, set) {}
    const kernels::Execution& execution() const override { return owner_.get(); }

   private:
    kernels::ExecutionOwner owner_;
  };
  const FakeModel model = hash_model(100, 1.0f, 3.0f);
  const auto sources = numbered_sources(12);
  const BeamOptions options{.beam = 4, .nbest = 2, .max_length = 8};
  for (const auto set : kernels::available_kernels()) {
    const auto expected = beam_search(Other(model, 1, set), sources, options);
    const auto found = beam_search(Other(model, 2, set), sources, options);
    const auto default_set = beam_search(model, sources, options);
    for (std::size_t s = 0; s < sources.size(); ++s) {
      expect_same(found[s], expected[s]);
      EXPECT_EQ(found[s][0].tokens, default_set[s][0].tokens);
      EXPECT_NEAR(found[s][0].score, default_set[s][0].score, 1e-5);
    }
  }
}

}  // namespace
}  // namespace fovea::decoding
