// Sentences that may hold tokens of their own alone: as if all others were impossible, whoever is beside
// them.
#include "fovea/decoding/restriction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/ensemble.h"
#include "fovea/decoding/translation_decoder.h"
#include "fovea/models/recurrent.h"
#include "tests/decoding/fake_model.h"
#include "tests/decoding/small_model.h"

namespace fovea::decoding {
namespace {

using test::message_of;

TokenSet set_of(Ids ids) { return std::make_shared<const Ids>(std::move(ids)); }

/// Source i and what it may become: about a third of the vocabulary, with and without the end of sentence.
Request request(int i, std::int32_t vocabulary) {
  const auto key = RandomKey::of(5, static_cast<std::uint32_t>(i), 3);
  Request request{Ids(static_cast<std::size_t>(1 + i % 4)), {}, static_cast<std::uint64_t>(i)};
  for (std::size_t s = 0; s < request.source.size(); ++s)
    request.source[s] =
        static_cast<std::int32_t>(3 + below(key, s, static_cast<std::uint32_t>(vocabulary - 3)));
  Ids ids;
  for (std::int32_t id = 0; id < vocabulary; ++id)
    if (id != 2 && below(key, static_cast<std::uint64_t>(100 + id), 3) == 0) ids.push_back(id);
  request.allowed = set_of(ids);
  return request;
}

std::vector<Request> some_requests(int count, std::int32_t vocabulary) {
  std::vector<Request> requests;
  for (int i = 0; i < count; ++i) requests.push_back(request(i, vocabulary));
  return requests;
}

/// The same model, but what a sentence may not become has a logit of -infinity.
FakeModel masked(const FakeModel& model, std::int64_t vocabulary, const std::vector<Request>& requests) {
  return FakeModel(vocabulary, [&model, vocabulary, &requests](const Ids& source, const Ids& past) {
    const auto state = model.start({source});
    Tensor logits = model.step(*state, Ids{model.start_token({})});
    for (const auto token : past) logits = model.step(*state, Ids{token});
    std::vector<float> values(logits.values().begin(), logits.values().end());
    const auto asked =
        std::ranges::find_if(requests, [&](const Request& one) { return one.source == source; });
    for (std::int64_t v = 1; v < vocabulary; ++v)
      if (!std::ranges::binary_search(*asked->allowed, static_cast<std::int32_t>(v)))
        values[static_cast<std::size_t>(v)] = minus_infinity;
    return values;
  });
}

std::vector<std::pair<std::string, BeamOptions>> ways() {
  std::vector<std::pair<std::string, BeamOptions>> ways{
      {"greedy", {.beam = 1}},
      {"beam", {.beam = 4, .nbest = 3}},
      {"ngrams", {.beam = 3, .processors = {std::make_shared<NoRepeatNgram>(2)}}},
      {"repetition", {.beam = 3, .processors = {std::make_shared<RepetitionPenalty>(1.5)}}},
      {"first", {.beam = 3, .processors = {std::make_shared<SuppressFirst>(Ids{0, 3, 5, 7, 9, 30, 40})}}},
      {"min_length", {.beam = 2, .min_length = 5}},
      {"suppressed", {.beam = 3, .suppressed = {5, 6, 7, 8, 9, 10, 11, 12}}},
      {"samples", {.beam = 1, .nbest = 3, .sampling = Sampling{.temperature = 1.3}}},
      {"suppressed samples", {.beam = 1, .suppressed = {5, 6, 7, 8}, .sampling = Sampling{}}},
      {"top_k", {.beam = 1, .nbest = 2, .sampling = Sampling{.top_k = 5, .top_p = 0.8}}},
      {"diverse", {.beam = 4, .nbest = 4, .diverse = {2, 1.0}}},
      {"alternatives", {.beam = 2, .nbest = 3, .alternatives = Alternatives{}}}};
  for (auto& [name, options] : ways) options.max_length = 12;
  return ways;
}

void expect_same(const std::vector<Hypothesis>& found, const std::vector<Hypothesis>& expected,
                 double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].tokens, expected[i].tokens);
    EXPECT_NEAR(found[i].score, expected[i].score, tolerance);
    EXPECT_EQ(found[i].complete, expected[i].complete);
  }
}

TEST(Restriction, IsAsIfAllElseWereImpossible) {
  const FakeModel model = hash_model(120, 1.5f, 1.5f);
  const auto requests = some_requests(12, 120);
  const FakeModel other = masked(model, 120, requests);
  auto unrestricted = requests;
  for (auto& one : unrestricted) one.allowed.reset();
  for (const auto& [name, options] : ways()) {
    const auto found = beam_search(model, requests, options, {5, 100});
    const auto expected = beam_search(other, unrestricted, options, {5, 100});
    for (std::size_t i = 0; i < found.size(); ++i) expect_same(found[i], expected[i], 1e-4);
    if (HasFailure()) FAIL() << name;
  }
}

TEST(Restriction, AForcedPrefixMayHoldAnyToken) {
  const FakeModel model = hash_model(120, 1.5f, 1.5f);
  Request one = request(3, 120);
  one.prefix = {7, 8, 9, 10, 11, 12};
  const auto found = beam_search(model, {one}, {.beam = 3, .max_length = 20}, {})[0][0];
  ASSERT_GE(found.tokens.size(), 6u);
  EXPECT_TRUE(std::ranges::equal(std::span(found.tokens).first(6), one.prefix));
  for (std::size_t t = 6; t < found.tokens.size(); ++t)
    EXPECT_TRUE(std::ranges::binary_search(*one.allowed, found.tokens[t])) << t;
}

// Such as the language of what follows, which no word of the source becomes.
TEST(Restriction, AForcedTokenIsEverySentencesOwn) {
  const FakeModel model = hash_model(120, 1.5f, 1.5f);
  const auto requests = some_requests(6, 120);  // none may hold token 2
  auto extended = requests;
  for (auto& one : extended) {
    Ids ids = *one.allowed;
    ids.insert(std::ranges::lower_bound(ids, 2), 2);
    one.allowed = set_of(ids);
  }
  const BeamOptions options{
      .beam = 3, .nbest = 2, .max_length = 12, .processors = {std::make_shared<ForceFirst>(2)}};
  const auto found = beam_search(model, requests, options, {}),
             expected = beam_search(model, extended, options, {});
  for (std::size_t i = 0; i < found.size(); ++i) {
    expect_same(found[i], expected[i], 0.0);
    for (const auto& hypothesis : found[i]) EXPECT_EQ(hypothesis.tokens.at(0), 2);
  }
  const BeamOptions banned{
      .beam = 3, .max_length = 12, .processors = {std::make_shared<ForceFirst>(2)}, .suppressed = {2}};
  for (const auto& hypotheses : beam_search(model, requests, banned, {}))
    for (const auto& hypothesis : hypotheses) EXPECT_TRUE(hypothesis.tokens.empty());
  const BeamOptions unknown{.processors = {std::make_shared<ForceFirst>(120)}};
  EXPECT_NE(message_of(Error::Kind::model, [&] { beam_search(model, requests, unknown, {}); })
                .find("120 is not among"),
            std::string::npos);
}

TEST(Restriction, WhereNothingIsLeftASentenceEnds) {
  const FakeModel model = hash_model(50, 1.5f);
  for (const Ids& ids : {Ids{}, Ids{0}, Ids{7}}) {
    Request one{{9}};
    one.allowed = set_of(ids);
    const auto found = beam_search(model, {one}, {.beam = 4, .max_length = 6}, {})[0];
    ASSERT_FALSE(found.empty());
    for (const auto token : found[0].tokens) EXPECT_EQ(token, 7);
    EXPECT_TRUE(found[0].complete);
  }
}

TEST(Restriction, RefusesWhatIsNoSet) {
  const FakeModel model = hash_model(50, 1.5f);
  const auto search = [&](std::vector<Request> requests) {
    return message_of(Error::Kind::usage, [&] { beam_search(model, std::move(requests), {}, {}); });
  };
  for (const Ids& ids : {Ids{3, 3}, Ids{4, 3}, Ids{-1}, Ids{50}}) {
    Request one{{9}};
    one.allowed = set_of(ids);
    EXPECT_NE(search({one}).find("sentence 0"), std::string::npos);
  }
  Request with{{9}}, without{{9}};
  with.allowed = set_of({3, 4});
  EXPECT_NE(search({with, without}).find("for some sentences alone"), std::string::npos);
  EXPECT_NE(search({without, with}).find("for some sentences alone"), std::string::npos);
}

class RestrictedModels : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<models::TranslationModel> model(std::uint64_t seed = 5) const {
    if (GetParam() == "recurrent") {
      models::RecurrentConfig config;
      config.source_vocabulary = config.target_vocabulary = 200;
      config.width = config.embedding = config.attention_width = 12;
      config.max_positions = 64;
      return std::make_unique<models::RecurrentModel>(config, seed);
    }
    return test::small_model(test::small_config(), seed);
  }
  std::unique_ptr<StepModel> decoder(const kernels::Execution& exec) {
    models_.push_back(model());
    if (!GetParam().ends_with("ensemble")) return std::make_unique<TranslationDecoder>(*models_[0], exec);
    models_.push_back(model(6));
    std::vector<std::unique_ptr<const StepModel>> both;
    for (const auto& one : models_) both.push_back(std::make_unique<TranslationDecoder>(*one, exec));
    return std::make_unique<Ensemble>(std::move(both), GetParam() == "ensemble"
                                                           ? Ensemble::Mean::log_probabilities
                                                           : Ensemble::Mean::probabilities);
  }
  std::vector<std::unique_ptr<models::TranslationModel>> models_;
};

TEST_P(RestrictedModels, BitsAreThoseOfTheSentenceAlone) {
  const kernels::ExecutionOwner exec(2);
  const auto model = decoder(exec.get());
  const auto requests = some_requests(14, 200);
  for (auto [name, options] : ways()) {
    options.attention = true;
    const auto together = beam_search(*model, requests, options, {5, 100});
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const auto alone = beam_search(*model, {requests[i]}, options, {})[0];
      expect_same(together[i], alone, 0.0);
      for (std::size_t n = 0; n < alone.size() && n < together[i].size(); ++n) {
        EXPECT_EQ(together[i][n].token_log_probabilities, alone[n].token_log_probabilities);
        EXPECT_EQ(together[i][n].attention, alone[n].attention);
      }
    }
    if (HasFailure()) FAIL() << name;
  }
}

TEST_P(RestrictedModels, AllTokensAreNoRestriction) {
  const kernels::ExecutionOwner exec(1);
  const auto model = decoder(exec.get());
  auto requests = some_requests(9, 200), all = requests;
  Ids every;
  for (std::int32_t id = 0; id < model->vocabulary(); ++id) every.push_back(id);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].allowed.reset();
    all[i].allowed = set_of(every);
  }
  const BeamOptions options{.beam = 3, .nbest = 3, .max_length = 14};
  const auto found = beam_search(*model, all, options, {}),
             expected = beam_search(*model, requests, options, {});
  for (std::size_t i = 0; i < found.size(); ++i) expect_same(found[i], expected[i], 1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, RestrictedModels,
                         testing::Values("transformer", "recurrent", "ensemble", "probability_ensemble"),
                         [](const auto& name) { return name.param; });

TEST(Restriction, AModelThatCopiesRefuses) {
  models::RecurrentConfig config;
  config.source_vocabulary = config.target_vocabulary = 60;
  config.width = config.embedding = config.attention_width = 12;
  config.max_positions = 64;
  config.copy = true;
  const models::RecurrentModel model(config, 5);
  const kernels::ExecutionOwner exec(1);
  const TranslationDecoder decoder(model, exec.get());
  EXPECT_NE(message_of(Error::Kind::usage, [&] { beam_search(decoder, some_requests(1, 60), {}, {}); })
                .find("copies words of its source"),
            std::string::npos);
}

}  // namespace
}  // namespace fovea::decoding
