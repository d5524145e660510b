// Sentences that come and go while others are decoded: the batch stays full, and nobody notices.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "fovea/base/error.h"
#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/translation_decoder.h"
#include "fovea/models/recurrent.h"
#include "tests/decoding/fake_model.h"
#include "tests/decoding/small_model.h"

namespace fovea::decoding {
namespace {

std::vector<Ids> random_sources(int count, std::int32_t vocabulary) {
  std::vector<Ids> sources;
  for (int i = 0; i < count; ++i) {
    const auto key = RandomKey::of(11, static_cast<std::uint32_t>(i), 5);
    Ids source(1 + below(key, 0, 9));
    for (std::size_t s = 0; s < source.size(); ++s)
      source[s] =
          static_cast<std::int32_t>(3 + below(key, s + 1, static_cast<std::uint32_t>(vocabulary - 3)));
    source.push_back(0);
    sources.push_back(source);
  }
  return sources;
}

std::vector<Request> requests_of(const std::vector<Ids>& sources) {
  std::vector<Request> requests;
  for (std::size_t i = 0; i < sources.size(); ++i) requests.push_back({sources[i], {}, i});
  return requests;
}

void expect_same(const std::vector<Hypothesis>& found, const std::vector<Hypothesis>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].tokens, expected[i].tokens);
    EXPECT_EQ(found[i].score, expected[i].score);
    EXPECT_EQ(found[i].token_log_probabilities, expected[i].token_log_probabilities);
    EXPECT_EQ(found[i].attention, expected[i].attention);
    EXPECT_EQ(found[i].complete, expected[i].complete);
  }
}

/// Every way of searching.
std::vector<std::pair<std::string, BeamOptions>> ways() {
  std::vector<std::pair<std::string, BeamOptions>> ways{
      {"greedy", {.beam = 1}},
      {"beam", {.beam = 4, .nbest = 3}},
      {"ngrams", {.beam = 3, .processors = {std::make_shared<NoRepeatNgram>(2)}}},
      {"min_length", {.beam = 2, .min_length = 5}},
      {"samples", {.beam = 1, .nbest = 3, .sampling = Sampling{.temperature = 1.3}}},
      {"top_k", {.beam = 1, .nbest = 2, .sampling = Sampling{.top_k = 5, .top_p = 0.8}}},
      {"diverse", {.beam = 4, .nbest = 4, .diverse = {2, 1.0}}},
      {"alternatives", {.beam = 2, .nbest = 3, .alternatives = Alternatives{}}}};
  for (auto& [name, options] : ways) options.max_length = 14;
  return ways;
}

TEST(ContinuousBatching, WhatIsFoundIsWhatIsFoundAlone) {
  const FakeModel model = hash_model(40, 1.5f, 1.5f);
  const auto sources = random_sources(50, 40);
  for (const auto& [name, options] : ways()) {
    std::vector<std::vector<Hypothesis>> alone;
    for (std::size_t i = 0; i < sources.size(); ++i)
      alone.push_back(beam_search(model, {{sources[i], {}, i}}, options, {})[0]);
    for (const BatchLimits limits : {BatchLimits{1, 100}, {4, 100}, {7, 20}, {64, 4096}, {8, 1}}) {
      const auto together = beam_search(model, requests_of(sources), options, limits);
      for (std::size_t i = 0; i < sources.size(); ++i) expect_same(together[i], alone[i]);
    }
    if (testing::Test::HasFailure()) FAIL() << name;
  }
}

class ContinuousModels : public testing::TestWithParam<std::string> {
 protected:
  static std::unique_ptr<models::TranslationModel> model() {
    if (GetParam() == "transformer") return test::small_model();
    models::RecurrentConfig config;
    config.source_vocabulary = config.target_vocabulary = 60;
    config.width = config.embedding = config.attention_width = 12;
    config.max_positions = 64;
    config.reach = 3;
    if (GetParam() == "local_m") config.window = models::RecurrentConfig::Window::local_m;
    if (GetParam() == "coverage") config.coverage = config.copy = true;
    if (GetParam() == "monotonic") config.normaliser = attention::Normaliser::monotonic;
    return std::make_unique<models::RecurrentModel>(config, 5);
  }
};

TEST_P(ContinuousModels, BitsAreThoseOfTheSentenceAlone) {
  const auto model = this->model();
  const kernels::ExecutionOwner exec(2);
  const TranslationDecoder decoder(*model, exec.get());
  const auto sources = random_sources(24, 60);
  for (auto [name, options] : ways()) {
    options.attention = true;
    options.coverage_penalty.beta = name == "beam" ? 0.2 : 0.0;
    const auto together = beam_search(decoder, requests_of(sources), options, {5, 100});
    for (std::size_t i = 0; i < sources.size(); ++i)
      expect_same(together[i], beam_search(decoder, {{sources[i], {}, i}}, options, {})[0]);
    if (testing::Test::HasFailure()) FAIL() << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ContinuousModels,
                         testing::Values("transformer", "additive", "local_m", "coverage", "monotonic"),
                         [](const auto& name) { return name.param; });

// A source of id n ends after n tokens.
FakeModel counting_model() {
  return FakeModel(3, [](const Ids& source, const Ids& past) {
    return std::ssize(past) < source[0] ? logs({1e-9, 1.0, 1e-9}) : logs({1.0, 1e-9, 1e-9});
  });
}

TEST(ContinuousBatching, TheBatchStaysFullAndWithinItsLimits) {
  const FakeModel model = counting_model();
  std::vector<Ids> sources;
  for (std::int32_t i = 0; i < 400; ++i) sources.push_back({1 + i * 7 % 20});
  beam_search(model, requests_of(sources), {.beam = 1, .max_length = 30}, {8, 1000});
  const auto& rows = model.rows_of_steps;
  EXPECT_EQ(*std::ranges::max_element(rows), 8);
  const auto work = std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
  EXPECT_GT(work, std::ssize(rows) * 7);  // of 8
  EXPECT_GT(model.admitted, 300);
  std::int64_t needed = 0;
  for (const auto& source : sources) needed += source[0] + 1;
  EXPECT_EQ(work, needed) << "a row that is finished is no work";
}

TEST(ContinuousBatching, SentencesAreAskedForWhenThereIsRoomAndDeliveredWhenFinished) {
  const FakeModel model = counting_model();
  std::size_t asked = 0, delivered = 0, most = 0;
  const auto next = [&]() -> std::optional<Request> {
    most = std::max(most, asked - delivered);
    if (asked == 5000) return {};
    ++asked;
    return Request{{static_cast<std::int32_t>(asked % 9)}};
  };
  const auto found = [&](std::size_t, const std::vector<Hypothesis>& hypotheses) {
    ++delivered;
    EXPECT_EQ(hypotheses.size(), 1u);
  };
  EXPECT_TRUE(beam_search(model, next, found, {.beam = 1}, {16, 1000}));
  EXPECT_EQ(delivered, 5000u);
  EXPECT_LE(most, 17u);
}

TEST(ContinuousBatching, TokensOfABatchAreLimited) {
  const FakeModel model = counting_model();
  std::vector<Ids> sources;
  for (int i = 0; i < 30; ++i) sources.push_back(Ids(static_cast<std::size_t>(1 + i % 10), 4));
  beam_search(model, requests_of(sources), {.beam = 1}, {64, 20});
  EXPECT_LE(*std::ranges::max_element(model.rows_of_steps), 20);
  beam_search(model, {{Ids(5000, 2)}}, {.beam = 1}, {64, 20});  // longer than the limit: alone
}

TEST(ContinuousBatching, ItEndsWhenItIsCancelled) {
  const FakeModel model = counting_model();
  std::atomic<bool> cancelled{false};
  std::size_t delivered = 0, asked = 0;
  const auto next = [&]() -> std::optional<Request> {
    return Request{{static_cast<std::int32_t>(++asked % 5)}};
  };
  const auto found = [&](std::size_t, const std::vector<Hypothesis>&) { cancelled = ++delivered >= 100; };
  EXPECT_FALSE(beam_search(model, next, found, {.beam = 1, .cancelled = &cancelled}, {}));
  EXPECT_GE(delivered, 100u);
}

// What is kept of sentences that have left would grow with every one of them.
TEST(ContinuousBatching, AStateForgetsWhoHasLeft) {
  const auto model = test::small_model();
  kernels::ExecutionOwner exec(1);
  ops::Context ctx;
  ctx.exec = exec.get();
  const auto sources = random_sources(1000, 60);
  const auto begun = model->start(ctx, std::span(sources).first(4));
  auto& state = dynamic_cast<models::TransformerState&>(*begun);
  for (std::size_t i = 4; i + 2 <= sources.size(); i += 2) {
    model->step(ctx, state, Ids(4, 5));
    model->step(ctx, state, Ids(4, 6));
    state.reorder(Ids{2, 3});
    model->admit(ctx, state, std::span(sources).subspan(i, 2));
    ASSERT_EQ(state.sentence.size(), 4u);
    for (const auto& sentence : state.sentence) ASSERT_EQ(sentence.use_count(), 1);
    ASSERT_LE(state.past.rows.size(), 4u);
    ASSERT_LE(state.cache.front().capacity(), 64);
  }
}

}  // namespace
}  // namespace fovea::decoding
