// Scheduled sampling: which tokens a recurrent decoder reads as it predicted them, and that it learns as if
// they had been given.
#include "fovea/models/own_tokens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "fovea/models/recurrent.h"
#include "tests/kernels/same_bits.h"
#include "tests/models/recurrent_variants.h"
#include "tests/models/some_pairs.h"

namespace fovea::models {
namespace {

constexpr std::int32_t pad = 2;
constexpr auto infinity = std::numeric_limits<float>::infinity();

/// One long sentence: as many draws as steps.
TimeMajor steps(std::int32_t count) { return TimeMajor(std::vector<std::int32_t>{0, count}); }

TEST(OwnTokens, AreTheShareAskedForAndNeverTheFirst) {
  constexpr std::int32_t count = 20000;
  const TimeMajor time = steps(count);
  for (const float share : {0.0f, 0.25f, 0.9f, 1.0f}) {
    const OwnTokens own(RandomKey::of(1, 2, site::sample), share, pad, time);
    EXPECT_TRUE(own.rows(0).empty());
    double found = 0;
    for (std::int64_t t = 1; t < count; ++t) found += static_cast<double>(own.rows(t).size());
    const double expected = static_cast<double>(share) * (count - 1);
    EXPECT_NEAR(found, expected, 4 * std::sqrt(count * 0.25) * (share > 0 && share < 1)) << share;
  }
}

TEST(OwnTokens, AreDrawnWithTheirProbabilities) {
  constexpr std::int32_t count = 20000;
  const TimeMajor time = steps(count);
  const OwnTokens own(RandomKey::of(1, 2, site::sample), 1.0f, pad, time);
  const std::array<float, 5> logits{0.5f, -1.0f, 9.0f, 2.0f, -infinity};  // the third is the start symbol's
  std::array<double, 5> found{};
  const kernels::ExecutionOwner exec(1);
  for (std::int64_t t = 1; t <= count; ++t) {
    Tensor row = Tensor::of({1, 5}, logits);
    ++found[static_cast<std::size_t>(own.draw(exec.get(), t, std::vector{0}, row).front())];
  }
  double sum = 0;
  for (const std::size_t v : {0, 1, 3}) sum += std::exp(static_cast<double>(logits[v]));
  for (const std::size_t v : {0, 1, 3}) {
    const double p = std::exp(static_cast<double>(logits[v])) / sum;
    EXPECT_NEAR(found[v], p * count, 4 * std::sqrt(p * (1 - p) * count)) << v;
  }
  EXPECT_EQ(found[2], 0);
  EXPECT_EQ(found[4], 0);
}

TEST(OwnTokens, LogitsThatAreNoNumbersGiveSomeToken) {
  const TimeMajor time = steps(3);
  const OwnTokens own(RandomKey::of(1, 2, site::sample), 1.0f, pad, time);
  const kernels::ExecutionOwner exec(1);
  for (const float x : {std::nanf(""), -infinity, infinity}) {
    Tensor row = Tensor::full({1, 5}, x);
    const auto token = own.draw(exec.get(), 1, std::vector{0}, row).front();
    EXPECT_GE(token, 0);
    EXPECT_LT(token, 5);
  }
}

class ScheduledSampling : public testing::TestWithParam<std::string> {
 protected:
  struct Trained {
    double loss;
    std::vector<float> gradients;
  };
  static ops::Context context(const kernels::ExecutionOwner& owner) {
    return {.exec = owner.get(), .training = true, .seed = 11, .update = 3};
  }
  static Trained train(const RecurrentConfig& config, const Pairs& pairs, float share, int threads = 2) {
    const kernels::ExecutionOwner owner(threads);
    RecurrentModel model(config, 5);
    model.parameters().allocate_gradients();
    ops::Context ctx = context(owner);
    ops::Tape tape;
    ctx.tape = &tape;
    TranslationBatch batch = pairs.batch();
    batch.own_token_share = share;
    const double loss = model.loss(ctx, batch, 0.1f, 1.0f).loss;
    tape.backward();
    const auto values = model.parameters().gradients().values();
    return {loss, {values.begin(), values.end()}};
  }
};

/// What a batch's decoder reads at this share, found sentence by sentence with start() and step().
std::vector<std::int32_t> read_by_hand(const RecurrentModel& model, const ops::Context& ctx,
                                       const Pairs& pairs, float share) {
  const TimeMajor time(pairs.target_start);
  const OwnTokens own(RandomKey::of(ctx.seed, ctx.update, site::sample), share, pad, time);
  ops::Context quiet = ctx;
  quiet.training = false;
  std::vector<std::int32_t> read = pairs.target_in;
  for (std::int32_t r = 0; r < time.sentences(); ++r) {
    const std::size_t b = time.order()[static_cast<std::size_t>(r)];
    const std::vector<std::vector<std::int32_t>> source{
        {pairs.source.begin() + pairs.source_start[b], pairs.source.begin() + pairs.source_start[b + 1]}};
    const auto state = model.start(quiet, source);
    static_cast<RecurrentState&>(*state).decoder.decides = false;  // as in training
    Tensor logits;
    for (std::int64_t t = 0; t < pairs.target_start[b + 1] - pairs.target_start[b]; ++t) {
      std::int32_t& token = read[static_cast<std::size_t>(time.token(t, r))];
      if (std::ranges::count(own.rows(t), r) > 0)
        token = own.draw(ctx.exec, t, std::vector{r}, logits).front();
      logits = model.step(quiet, *state, std::vector{token});
    }
  }
  return read;
}

TEST_P(ScheduledSampling, LearnsAsIfTheModelsOwnTokensHadBeenGiven) {
  RecurrentConfig config = variant(GetParam());
  config.monotonic_noise = 0.0f;  // what is predicted by hand has none
  const kernels::ExecutionOwner owner(1);
  for (const float share : {0.5f, 1.0f}) {
    const Pairs pairs = some_pairs();
    Pairs replaced = pairs;
    replaced.target_in = read_by_hand(RecurrentModel(config, 5), context(owner), pairs, share);
    EXPECT_NE(replaced.target_in, pairs.target_in);
    const Trained expected = train(config, replaced, 0.0f), found = train(config, pairs, share);
    EXPECT_NEAR(found.loss, expected.loss, 1e-5 * expected.loss);
    for (std::size_t i = 0; i < expected.gradients.size(); ++i)
      ASSERT_NEAR(found.gradients[i], expected.gradients[i],
                  1e-4f * std::max(1.0f, std::abs(expected.gradients[i])))
          << i;
  }
}

TEST_P(ScheduledSampling, IsTheSameBitsForAnyThreadsAndNoneAtShareZero) {
  RecurrentConfig config = variant(GetParam());
  config.dropout = 0.1f;
  const Pairs pairs = some_pairs();
  const Trained one = train(config, pairs, 0.7f, 1);
  for (const int threads : {1, 3}) {
    const Trained again = train(config, pairs, 0.7f, threads);
    EXPECT_EQ(again.loss, one.loss);
    EXPECT_TRUE(kernels::same_bits(again.gradients, one.gradients)) << threads;
  }
  EXPECT_NE(train(config, pairs, 0.0f).loss, one.loss);

  // Validation reads what is given, whatever the share.
  const kernels::ExecutionOwner owner(2);
  const RecurrentModel model(config, 5);
  ops::Context ctx = context(owner);
  ctx.training = false;
  TranslationBatch batch = pairs.batch();
  const double given = model.loss(ctx, batch, 0.1f, 1.0f).loss;
  batch.own_token_share = 1.0f;
  EXPECT_EQ(model.loss(ctx, batch, 0.1f, 1.0f).loss, given);
}

INSTANTIATE_TEST_SUITE_P(All, ScheduledSampling, testing::ValuesIn(variant_names()),
                         [](const auto& variant) { return variant.param; });

}  // namespace
}  // namespace fovea::models
