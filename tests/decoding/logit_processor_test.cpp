#include "fovea/decoding/logit_processor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "fovea/base/error.h"
#include "fovea/decoding/beam_search.h"
#include "tests/decoding/fake_model.h"

namespace fovea::decoding {
namespace {

std::set<std::int32_t> forbidden(std::int64_t n, const Ids& tokens) {
  std::vector<float> logits(10, 0.0f);
  NoRepeatNgram(n).process(0, tokens, logits);
  std::set<std::int32_t> ids;
  for (std::int32_t id = 0; id < 10; ++id)
    if (logits[static_cast<std::size_t>(id)] == minus_infinity) ids.insert(id);
  return ids;
}

TEST(LogitProcessor, NoRepeatNgramForbidsWhatFollowedBefore) {
  EXPECT_EQ(forbidden(2, {1, 2, 1}), (std::set<std::int32_t>{2}));
  EXPECT_EQ(forbidden(2, {1, 2, 1, 3, 1}), (std::set<std::int32_t>{2, 3}));
  EXPECT_EQ(forbidden(3, {1, 2, 1}), std::set<std::int32_t>{});
  EXPECT_EQ(forbidden(3, {1, 2, 7, 1, 2}), (std::set<std::int32_t>{7}));
  EXPECT_EQ(forbidden(2, {4, 4}), (std::set<std::int32_t>{4}));
  EXPECT_EQ(forbidden(1, {5, 6}), (std::set<std::int32_t>{5, 6}));
  EXPECT_EQ(forbidden(1, {}), std::set<std::int32_t>{});
  EXPECT_THROW(NoRepeatNgram(0), Error);
}

TEST(LogitProcessor, TheSearchObeysIt) {
  // 1 2 1 2 ... is by far the likeliest.
  const FakeModel model = table_model({logs({0.01, 0.9, 0.05, 0.04}), logs({0.04, 0.01, 0.9, 0.05}),
                                       logs({0.04, 0.9, 0.01, 0.05}), logs({0.04, 0.32, 0.32, 0.32})});
  BeamOptions options{.beam = 3, .nbest = 3, .max_length = 40};
  const auto repeats = [](const Ids& tokens) {
    std::set<std::pair<std::int32_t, std::int32_t>> seen;
    for (std::size_t i = 1; i < tokens.size(); ++i)
      if (!seen.insert({tokens[i - 1], tokens[i]}).second) return true;
    return false;
  };
  EXPECT_TRUE(repeats(beam_search(model, {{9}}, options)[0][0].tokens));
  options.processors = {std::make_shared<NoRepeatNgram>(2)};
  const auto results = beam_search(model, {{9}, {8}}, options);
  for (const auto& result : results)
    for (const auto& one : result) EXPECT_FALSE(repeats(one.tokens));
}

// A processor that forces each sentence to begin as it is told.
class Prefix : public LogitProcessor {
 public:
  explicit Prefix(std::vector<Ids> prefixes) : prefixes_(std::move(prefixes)) {}
  void process(std::size_t source, std::span<const std::int32_t> tokens,
               std::span<float> logits) const override {
    const Ids& prefix = prefixes_.at(source);
    if (tokens.size() >= prefix.size()) return;
    const auto wanted = static_cast<std::size_t>(prefix[tokens.size()]);
    const float kept = logits[wanted];
    std::fill(logits.begin(), logits.end(), minus_infinity);
    logits[wanted] = kept;
  }

 private:
  std::vector<Ids> prefixes_;
};

TEST(LogitProcessor, IsGivenSourceAndHypothesisOfEachRow) {
  const FakeModel model = hash_model(20, 1.0f, 2.0f);
  const std::vector<Ids> prefixes{{3, 4, 5}, {}, {6}, {7, 7}};
  BeamOptions options{.beam = 3, .nbest = 2, .max_length = 9};
  options.processors = {std::make_shared<Prefix>(prefixes)};
  const auto results = beam_search(model, {{11}, {12}, {13}, {14}}, options);
  for (std::size_t s = 0; s < prefixes.size(); ++s) {
    for (const auto& one : results[s]) {
      ASSERT_GE(one.tokens.size(), prefixes[s].size());
      EXPECT_TRUE(std::equal(prefixes[s].begin(), prefixes[s].end(), one.tokens.begin()));
      for (std::size_t i = 0; i < prefixes[s].size(); ++i) EXPECT_EQ(one.token_log_probabilities[i], 0.0f);
    }
  }
}

TEST(RepetitionPenalty, DividesWhatIsAboveZeroAndMultipliesTheRest) {
  std::vector<float> logits{2.0f, -2.0f, 3.0f, 0.0f};
  RepetitionPenalty(2.0).process(0, Ids{0, 1, 0, 3}, logits);
  EXPECT_EQ(logits, (std::vector<float>{1.0f, -4.0f, 3.0f, 0.0f}));
  RepetitionPenalty(0.5).process(0, Ids{2}, logits);
  EXPECT_EQ(logits[2], 6.0f);
  EXPECT_THROW(RepetitionPenalty(0.0), Error);
  EXPECT_THROW(RepetitionPenalty(-1.0), Error);
}

TEST(RepetitionPenalty, ASearchTurnsToOtherWords) {
  const FakeModel model = table_model({{-3, 2, 1.5}, {-3, 2, 1.5}, {-3, 2, 1.5}});
  BeamOptions options{.beam = 1, .max_length = 2};
  EXPECT_EQ(beam_search(model, {{9}}, options)[0][0].tokens, (Ids{1, 1}));
  options.processors = {std::make_shared<RepetitionPenalty>(1.5)};
  EXPECT_EQ(beam_search(model, {{9}}, options)[0][0].tokens, (Ids{1, 2}));
}

TEST(FirstToken, IsSuppressedOrForcedAtTheBeginningAlone) {
  const FakeModel model = table_model(std::vector(4, std::vector{-3.0f, 2.0f, 1.5f, 1.0f}));
  BeamOptions options{.beam = 1, .max_length = 2};
  options.processors = {std::make_shared<SuppressFirst>(Ids{1, 2, 99})};
  EXPECT_EQ(beam_search(model, {{9}}, options)[0][0].tokens, (Ids{3, 1}));
  options.processors = {std::make_shared<ForceFirst>(3)};
  const auto forced = beam_search(model, {{9}}, options)[0][0];
  EXPECT_EQ(forced.tokens, (Ids{3, 1}));
  EXPECT_EQ(forced.token_log_probabilities[0], 0.0f);
  // After a prefix nothing is the first any more.
  const auto prefixed = beam_search(model, std::vector<Request>{{{9}, {2}}}, options, {})[0][0];
  EXPECT_EQ(prefixed.tokens, (Ids{2, 1}));
  options.processors = {std::make_shared<ForceFirst>(4)};
  EXPECT_THROW(beam_search(model, {{9}}, options), Error);
}

TEST(SuppressSequences, ForbidsTheLastTokenAfterTheOthers) {
  const SuppressSequences sequences({{1, 2, 3}, {4}, {2, 2}, {9, 9}});
  const auto forbidden = [&](const Ids& past) {
    std::vector<float> logits(6, 0.0f);
    sequences.process(0, past, logits);
    Ids ids;
    for (std::size_t v = 0; v < logits.size(); ++v)
      if (logits[v] == minus_infinity) ids.push_back(static_cast<std::int32_t>(v));
    return ids;
  };
  EXPECT_EQ(forbidden({}), Ids{4});
  EXPECT_EQ(forbidden({1, 2}), (Ids{2, 3, 4}));
  EXPECT_EQ(forbidden({5, 1, 2}), (Ids{2, 3, 4}));
  EXPECT_EQ(forbidden({2, 1}), Ids{4});
  EXPECT_THROW(SuppressSequences({{1}, {}}), Error);
}

}  // namespace
}  // namespace fovea::decoding
