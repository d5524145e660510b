// Several models as one: the mean of what they say, and nothing of one model's past in another's.
#include "fovea/decoding/ensemble.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fovea/base/error.h"
#include "fovea/decoding/beam_search.h"
#include "tests/base/scratch.h"
#include "tests/decoding/fake_model.h"

namespace fovea::decoding {
namespace {

using test::message_of;
using Models = std::vector<std::unique_ptr<const StepModel>>;

template <class Make, class... Arguments>
std::unique_ptr<FakeModel> owned(Make&& make, Arguments&&... arguments) {
  return std::unique_ptr<FakeModel>(new FakeModel(make(std::forward<Arguments>(arguments)...)));
}

Models two(std::vector<std::vector<float>> a, std::vector<std::vector<float>> b) {
  Models models;
  models.push_back(owned(table_model, std::move(a)));
  models.push_back(owned(table_model, std::move(b)));
  return models;
}

std::vector<float> first_log_probabilities(const StepModel& model) {
  const auto state = model.start({{9}});
  const Tensor logits = model.step(*state, Ids{model.start_token({})});
  const auto all = log_softmax({logits.values().begin(), logits.values().end()});
  return {all.begin(), all.end()};
}

TEST(Ensemble, MeansAreTheFormulas) {
  const std::vector<double> p{0.7, 0.2, 0.1}, q{0.1, 0.3, 0.6};
  double sum = 0;
  for (std::size_t v = 0; v < 3; ++v) sum += std::sqrt(p[v] * q[v]);
  const Ensemble geometric(two({logs(p)}, {logs(q)}));
  const Ensemble arithmetic(two({logs(p)}, {logs(q)}), Ensemble::Mean::probabilities);
  const auto g = first_log_probabilities(geometric), a = first_log_probabilities(arithmetic);
  for (std::size_t v = 0; v < 3; ++v) {
    EXPECT_NEAR(g[v], std::log(std::sqrt(p[v] * q[v]) / sum), 1e-6);
    EXPECT_NEAR(a[v], std::log((p[v] + q[v]) / 2), 1e-6);
  }
}

TEST(Ensemble, ShiftedLogitsAreTheSameOpinion) {
  const std::vector<float> a{1, 2, 3}, b{3, 1, 0};
  std::vector<float> shifted = b;
  for (float& x : shifted) x += 20.0f;
  for (const auto mean : {Ensemble::Mean::log_probabilities, Ensemble::Mean::probabilities}) {
    const auto one = first_log_probabilities(Ensemble(two({a}, {b}), mean));
    const auto other = first_log_probabilities(Ensemble(two({a}, {shifted}), mean));
    for (std::size_t v = 0; v < 3; ++v) EXPECT_NEAR(one[v], other[v], 1e-5);
  }
}

TEST(Ensemble, AModelWithItselfIsItself) {
  const FakeModel model = hash_model(30, 1.5f, 1.5f);
  std::vector<Request> requests;
  for (int i = 0; i < 20; ++i) requests.push_back({Ids(static_cast<std::size_t>(1 + i % 4), 50 + i)});
  const BeamOptions options{.beam = 3, .nbest = 3, .max_length = 12};
  const auto expected = beam_search(model, requests, options, {});
  for (const auto mean : {Ensemble::Mean::log_probabilities, Ensemble::Mean::probabilities}) {
    Models models;
    for (int i = 0; i < 3; ++i) models.push_back(owned(hash_model, 30, 1.5f, 1.5f));
    const auto found = beam_search(Ensemble(std::move(models), mean), requests, options, {4, 100});
    for (std::size_t s = 0; s < found.size(); ++s)
      for (std::size_t i = 0; i < found[s].size(); ++i) {
        EXPECT_EQ(found[s][i].tokens, expected[s][i].tokens);
        EXPECT_NEAR(found[s][i].score, expected[s][i].score, 1e-5);
      }
  }
}

TEST(Ensemble, ImpossibleAndNotANumber) {
  const float no = minus_infinity;
  const auto geometric = first_log_probabilities(Ensemble(two({{no, 0, 0}}, {{0, 0, 0}})));
  EXPECT_EQ(geometric[0], no);
  const auto arithmetic =
      first_log_probabilities(Ensemble(two({{no, 0, 0}}, {{0, 0, 0}}), Ensemble::Mean::probabilities));
  EXPECT_NEAR(arithmetic[0], std::log(1.0 / 6), 1e-6);
  for (const auto mean : {Ensemble::Mean::log_probabilities, Ensemble::Mean::probabilities})
    EXPECT_NE(message_of(Error::Kind::model,
                         [&] {
                           beam_search(Ensemble(two({{0, std::nanf("")}}, {{0, 0}}), mean), {{9}});
                         })
                  .find("NaN"),
              std::string::npos);
}

TEST(Ensemble, TheyLookWhereTheyLookOnAverage) {
  Models models;
  for (const float first : {1.0f, 0.0f}) {
    auto model = owned(table_model, std::vector<std::vector<float>>{logs({0.5, 0.5})});
    model->looks = [first](const Ids&, const Ids&) { return std::vector<float>{first, 1.0f - first}; };
    models.push_back(std::move(model));
  }
  const auto one = beam_search(Ensemble(std::move(models)), {{8, 9}},
                               {.beam = 1, .attention = true, .max_length = 1})[0][0];
  EXPECT_EQ(one.attention, (std::vector<float>{0.5f, 0.5f}));
}

TEST(Ensemble, OtherVocabulariesAreRefused) {
  EXPECT_NE(message_of(Error::Kind::model,
                       [] {
                         Ensemble(two({{0, 0}}, {{0, 0, 0}}));
                       })
                .find("3 tokens"),
            std::string::npos);
  EXPECT_NE(message_of(Error::Kind::usage, [] { Ensemble(Models{}); }).find("no model"), std::string::npos);
}

}  // namespace
}  // namespace fovea::decoding
