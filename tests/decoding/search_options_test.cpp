// Prefixes, alternatives, diverse beams, suppressed tokens, streaming.
#include "fovea/decoding/search_options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "fovea/base/error.h"
#include "fovea/decoding/beam_search.h"
#include "tests/base/scratch.h"
#include "tests/decoding/fake_model.h"

namespace fovea::decoding {
namespace {

using test::message_of;

std::vector<Request> requests(int count, const Ids& prefix = {}) {
  std::vector<Request> requests;
  for (int i = 0; i < count; ++i)
    requests.push_back(
        {Ids(static_cast<std::size_t>(1 + i % 4), 50 + i), prefix, static_cast<std::uint64_t>(i)});
  return requests;
}

// The model after the prefix, as if it were the beginning.
FakeModel after(const FakeModel& model, const Ids& prefix) {
  return FakeModel(model.vocabulary(), [&model, prefix](const Ids& source, const Ids& past) {
    const auto state = model.start({source});
    Tensor logits = model.step(*state, Ids{model.start_token({})});
    for (const auto& part : {prefix, past})
      for (const auto token : part) logits = model.step(*state, Ids{token});
    return std::vector<float>(logits.values().begin(), logits.values().end());
  });
}

TEST(Prefix, TheSearchGoesOnFromIt) {
  const FakeModel model = hash_model(30, 1.5f, 1.5f);
  const Ids prefix{7, 7, 3};
  const FakeModel rest = after(model, prefix);
  for (const std::int64_t beam : {1, 3}) {
    const BeamOptions options{
        .beam = beam, .nbest = beam, .length_penalty = {LengthPenalty::Kind::power, 0.0}};
    BeamOptions shorter = options;
    shorter.max_length = 9;
    BeamOptions all = options;
    all.max_length = 12;
    const auto found = beam_search(model, requests(10, prefix), all, {3, 100});
    const auto expected = beam_search(rest, requests(10), shorter, {});
    for (std::size_t s = 0; s < found.size(); ++s) {
      ASSERT_EQ(found[s].size(), expected[s].size());
      for (std::size_t i = 0; i < found[s].size(); ++i) {
        Ids whole = prefix;
        whole.insert(whole.end(), expected[s][i].tokens.begin(), expected[s][i].tokens.end());
        EXPECT_EQ(found[s][i].tokens, whole);
        EXPECT_EQ(found[s][i].log_probability, expected[s][i].log_probability);
        for (std::size_t t = 0; t < prefix.size(); ++t)
          EXPECT_EQ(found[s][i].token_log_probabilities[t], 0.0f);
      }
    }
  }
}

TEST(Prefix, ItMayHoldWhatIsNeverGenerated) {
  FakeModel model = hash_model(30);
  model.banned_ids = {5};
  const auto one =
      beam_search(model, {{{9}, {5, 5}}}, {.beam = 2, .min_length = 4, .suppressed = {6}}, {})[0][0];
  EXPECT_EQ(one.tokens[1], 5);
  EXPECT_GE(one.tokens.size(), 4u);
  EXPECT_EQ(std::count(one.tokens.begin(), one.tokens.end(), 5), 2);
}

TEST(Prefix, WhatDoesNotFitIsRefused) {
  const FakeModel model = hash_model(30);
  const auto refused = [&](const Ids& prefix, std::string_view part) {
    const auto message = message_of(Error::Kind::usage, [&] {
      beam_search(model, {{{9}}, {{9}, prefix}}, {.max_length = 4}, {});
    });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  refused({1, 1, 1, 1}, "prefix of sentence 1: has 4 tokens");
  refused({30}, "token 30 cannot be generated");
  refused({-1}, "token -1");
  refused({0}, "token 0 cannot be generated");
  EXPECT_LE(beam_search(model, {{{9}, {1, 1, 1}}}, {.max_length = 4}, {})[0][0].tokens.size(), 4u);
}

TEST(Alternatives, EachTokenBeginsASearchOfItsOwn) {
  const FakeModel model = hash_model(30, 1.5f, 1.0f);
  const Ids prefix{4, 2};
  BeamOptions options{.beam = 3,
                      .nbest = 5,
                      .length_penalty = {LengthPenalty::Kind::power, 0.0},
                      .max_length = 12,
                      .alternatives = Alternatives{}};
  const auto found = beam_search(model, requests(8, prefix), options, {});
  for (std::size_t s = 0; s < found.size(); ++s) {
    ASSERT_EQ(found[s].size(), 5u);
    float before = 0.0f;
    for (const auto& one : found[s]) {
      EXPECT_TRUE(std::equal(prefix.begin(), prefix.end(), one.tokens.begin()));
      EXPECT_NE(one.tokens.at(2), model.ends().front());
      EXPECT_LE(one.token_log_probabilities[2], before);
      before = one.token_log_probabilities[2];
      Request longer = requests(8, prefix)[s];
      longer.prefix.push_back(one.tokens[2]);
      BeamOptions single = options;
      single.nbest = 1;
      single.alternatives = {};
      const auto alone = beam_search(model, {longer}, single, {})[0][0];
      EXPECT_EQ(one.tokens, alone.tokens);
      EXPECT_NEAR(one.log_probability, alone.log_probability + one.token_log_probabilities[2], 1e-5);
    }
  }
}

TEST(Alternatives, ImprobableOnesAreLeftOutSaveTheFirst) {
  const FakeModel model = table_model({logs({0.4, 0.3, 0.2, 0.1}), logs({0.9, 0.1, 1e-9, 1e-9}),
                                       logs({0.9, 0.1, 1e-9, 1e-9}), logs({0.9, 0.1, 1e-9, 1e-9})});
  const auto begin = [&](double least) {
    Ids begin;
    const auto found =
        beam_search(model, {{9}}, {.beam = 1, .nbest = 4, .alternatives = Alternatives{least}})[0];
    for (const auto& one : found) begin.push_back(one.tokens.at(0));
    return begin;
  };
  EXPECT_EQ(begin(0.0), (Ids{1, 2, 3}));  // the end of sentence is none
  EXPECT_EQ(begin(0.15), (Ids{1, 2}));
  EXPECT_EQ(begin(0.99), Ids{1});
}

TEST(DiverseBeams, OneGroupOrNoPenaltyIsBeamSearch) {
  const FakeModel model = hash_model(30, 1.5f, 1.5f);
  const BeamOptions plain{.beam = 2, .nbest = 2, .max_length = 10};
  const auto expected = beam_search(model, requests(10), plain, {});
  BeamOptions twice = plain;
  twice.beam = 4;
  twice.nbest = 4;
  twice.diverse = {2, 0.0};
  const auto found = beam_search(model, requests(10), twice, {});
  for (std::size_t s = 0; s < found.size(); ++s) {
    ASSERT_EQ(found[s].size(), 4u);  // both groups find the same
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(found[s][i].tokens, expected[s][i / 2].tokens);
  }
}

// Groups of one hypothesis, step by step by hand.
TEST(DiverseBeams, AGroupPaysForTokensOfThoseBefore) {
  const auto first = logs({1e-9, 0.5, 0.3, 0.2});
  const FakeModel model = table_model(
      {first, logs({0.9, 0.1, 1e-9, 1e-9}), logs({0.9, 0.05, 0.05, 1e-9}), logs({0.9, 1e-9, 0.1, 1e-9})});
  const auto begin = [&](double penalty) {
    std::vector<Ids> all;
    const auto found = beam_search(model, {{9}}, {.beam = 3, .nbest = 3, .diverse = {3, penalty}})[0];
    for (const auto& one : found) all.push_back(one.tokens);
    std::sort(all.begin(), all.end());
    return all;
  };
  EXPECT_EQ(begin(0.1), (std::vector<Ids>{{1}, {1}, {1}}));
  // log(0.5 / 0.3) = 0.51, log(0.5 / 0.2) = 0.92: with 0.6 the second group takes 2, and the third, since
  // both cost it 0.6, takes 1 again.
  EXPECT_EQ(begin(0.6), (std::vector<Ids>{{1}, {1}, {2}}));
  EXPECT_EQ(begin(1.0), (std::vector<Ids>{{1}, {2}, {3}}));
}

TEST(DiverseBeams, ScoresAreTheModels) {
  const FakeModel model = hash_model(30, 1.5f, 1.5f);
  const auto found =
      beam_search(model, requests(10), {.beam = 6, .nbest = 6, .max_length = 10, .diverse = {3, 2.0}}, {});
  std::size_t distinct = 0, plain_distinct = 0;
  const auto plain = beam_search(model, requests(10), {.beam = 6, .nbest = 6, .max_length = 10}, {});
  for (std::size_t s = 0; s < found.size(); ++s) {
    std::set<std::int32_t> firsts, plain_firsts;
    for (const auto& one : plain[s]) plain_firsts.insert(one.tokens.empty() ? 0 : one.tokens[0]);
    for (std::size_t i = 0; i < found[s].size(); ++i) {
      const auto& one = found[s][i];
      double sum = 0;
      for (const float p : one.token_log_probabilities) sum += static_cast<double>(p);
      EXPECT_NEAR(one.log_probability, sum, 1e-5);
      const bool ranked = i > 0 && one.complete == found[s][i - 1].complete;
      EXPECT_TRUE(!ranked || one.score <= found[s][i - 1].score);
      firsts.insert(one.tokens.empty() ? 0 : one.tokens[0]);
    }
    distinct += firsts.size();
    plain_distinct += plain_firsts.size();
  }
  EXPECT_GT(distinct, plain_distinct);
}

TEST(SearchOptions, SuppressedTokensAreNeverChosen) {
  const FakeModel model = hash_model(20, 1.0f, 0.5f);
  for (const auto& hypotheses : beam_search(
           model, requests(10), {.beam = 4, .nbest = 4, .max_length = 10, .suppressed = {3, 4, 5, 99}}, {}))
    for (const auto& one : hypotheses)
      for (const auto token : one.tokens) EXPECT_TRUE(token < 3 || token > 5);
}

TEST(SearchOptions, WhatExcludesEachOtherIsNamed) {
  const FakeModel model = hash_model(100);
  const auto refused = [&](std::string_view part, const BeamOptions& options) {
    const auto message = message_of(Error::Kind::usage, [&] { beam_search(model, {{9}}, options); });
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  refused("diverse groups: is 3 with beam 4", {.beam = 4, .diverse = {3}});
  refused("diverse groups: is 0", {.diverse = {0}});
  refused("diversity: is -1", {.beam = 4, .diverse = {2, -1.0}});
  refused("diverse groups: is 2 with alternatives",
          {.beam = 4, .diverse = {2}, .alternatives = Alternatives{}});
  refused("least probability", {.alternatives = Alternatives{1.5}});
  refused("nbest: is 64 alternatives", {.nbest = 64, .alternatives = Alternatives{}});
}

/// Everything that was streamed, by sentence and hypothesis.
struct Stream {
  std::map<std::pair<std::size_t, std::int64_t>, Ids> tokens;
  std::map<std::pair<std::size_t, std::int64_t>, std::vector<float>> log_probabilities;
  int early = 0;

  OnToken listener(std::int64_t stop_after = 1000) {
    return [this, stop_after](const StreamedToken& one) {
      auto& so_far = tokens[{one.sentence, one.hypothesis}];
      EXPECT_EQ(one.position, std::ssize(so_far));
      so_far.push_back(one.token);
      log_probabilities[{one.sentence, one.hypothesis}].push_back(one.log_probability);
      return std::ssize(so_far) < stop_after;
    };
  }
};

std::vector<std::pair<std::string, BeamOptions>> ways() {
  return {{"greedy", {.beam = 1, .max_length = 12}},
          {"beam", {.beam = 5, .nbest = 2, .max_length = 12}},
          {"exact",
           {.beam = 4,
            .length_penalty = {LengthPenalty::Kind::power, 1.5},
            .stop = Stop::exact,
            .max_length = 12}},
          {"samples", {.beam = 1, .nbest = 4, .max_length = 12, .sampling = Sampling{}}},
          {"diverse", {.beam = 4, .max_length = 12, .diverse = {2, 1.0}}},
          {"alternatives", {.beam = 2, .nbest = 3, .max_length = 12, .alternatives = Alternatives{}}}};
}

TEST(Streaming, WhatIsStreamedIsWhatIsReturned) {
  const FakeModel model = hash_model(20, 2.0f, 1.0f);
  for (const Ids& prefix : {Ids{}, Ids{3, 4}}) {
    for (auto [name, options] : ways()) {
      const auto expected = beam_search(model, requests(40, prefix), options, {});
      Stream stream;
      options.on_token = stream.listener();
      const auto found = beam_search(model, requests(40, prefix), options, {7, 100});
      for (std::size_t s = 0; s < found.size(); ++s) {
        const std::size_t streams = options.numbered() ? found[s].size() : 1;
        for (std::size_t i = 0; i < found[s].size(); ++i)
          EXPECT_EQ(found[s][i].tokens, expected[s][i].tokens);
        for (std::size_t i = 0; i < streams; ++i) {
          const auto key = std::pair(s, static_cast<std::int64_t>(i));
          EXPECT_EQ(stream.tokens[key], found[s][i].tokens) << name;
          auto log_probabilities = found[s][i].token_log_probabilities;
          if (found[s][i].complete) log_probabilities.pop_back();
          EXPECT_EQ(stream.log_probabilities[key], log_probabilities);
        }
      }
    }
  }
}

TEST(Streaming, GreedyTellsEveryTokenAtItsStep) {
  const FakeModel model = table_model({logs({0.1, 0.9}), logs({0.1, 0.9})});
  std::vector<std::size_t> steps;
  beam_search(model, {{9}}, {.beam = 1, .max_length = 5, .on_token = [&](const StreamedToken&) {
                               steps.push_back(model.rows_of_steps.size());
                               return true;
                             }});
  EXPECT_EQ(steps, (std::vector<std::size_t>{1, 2, 3, 4, 5}));
}

// A sure model's beam agrees on the beginning long before the end.
TEST(Streaming, ABeamTellsWhatItsHypothesesShare) {
  const FakeModel model = hash_model(30, 6.0f, -100.0f);
  std::size_t early = 0, all = 0;
  beam_search(model, requests(1),
              {.beam = 4,
               .max_length = 30,
               .on_token =
                   [&](const StreamedToken&) {
                     ++all;
                     early += model.rows_of_steps.size() < 25;
                     return true;
                   }},
              {});
  EXPECT_EQ(all, 30u);
  EXPECT_GE(early, 3u);
}

TEST(Streaming, WhoStopsGetsWhatWasStreamed) {
  const FakeModel model = hash_model(20, 2.0f, -2.0f);
  for (auto [name, options] : ways()) {
    const auto expected = beam_search(model, requests(20), options, {});
    for (const std::int64_t most : {1, 3}) {
      Stream stream;
      options.on_token = stream.listener(most);
      const auto found = beam_search(model, requests(20), options, {6, 100});
      for (std::size_t s = 0; s < found.size(); ++s) {
        EXPECT_EQ(found[s].size(), options.numbered() ? static_cast<std::size_t>(options.nbest) : 1u);
        for (std::size_t i = 0; i < found[s].size(); ++i) {
          const auto& one = found[s][i];
          EXPECT_EQ(one.tokens, (stream.tokens[{s, static_cast<std::int64_t>(i)}])) << name;
          EXPECT_LE(std::ssize(one.tokens), most);
          if (std::ssize(one.tokens) < most) continue;  // it was shorter
          EXPECT_FALSE(one.complete);
          EXPECT_TRUE(std::equal(one.tokens.begin(), one.tokens.end(), expected[s][i].tokens.begin()));
          double sum = 0;
          for (const float p : one.token_log_probabilities) sum += static_cast<double>(p);
          EXPECT_NEAR(one.log_probability, sum, 1e-9);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fovea::decoding
