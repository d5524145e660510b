#include "fovea/models/transformer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "fovea/base/random.h"
#include "fovea/kernels/optimiser.h"
#include "tests/base/scratch.h"
#include "tests/models/family_variants.h"
#include "tests/models/loss_gradients.h"
#include "tests/models/saved_model.h"
#include "tests/models/small_config.h"
#include "tests/models/some_pairs.h"
#include "tests/models/with_threads.h"

namespace fovea::models {
namespace {

std::vector<TransformerConfig> varied_configs() {
  std::vector<TransformerConfig> configs(5, small_config());
  configs[1].norm = TransformerConfig::Norm::pre;
  configs[1].positions = TransformerConfig::Positions::learned;
  configs[1].activation = kernels::Activation::gelu;
  configs[2].key_width = 3;
  configs[2].value_width = 5;
  configs[2].activation = kernels::Activation::silu;
  configs[3].tie_source_target = false;
  configs[3].tie_output = false;
  configs[3].source_vocabulary = 17;
  configs[4].encoder_layers = 1;
  configs[4].decoder_layers = 3;
  configs[4].scale_embedding = false;
  for (const auto& [name, config] : family_variants()) configs.push_back(config);
  return configs;
}

class TransformerTest : public testing::Test, protected WithThreads {};

TEST_F(TransformerTest, H01_GradientsOfTheLossAreItsDerivatives) {
  for (auto config : varied_configs()) {
    // Differences across relu's kink are no derivatives; relu is checked where it is alone, in ops.
    if (config.activation == kernels::Activation::relu) config.activation = kernels::Activation::gelu;
    Transformer model(config, 5);
    const Pairs pairs = some_pairs();
    expect_gradients_are_derivatives(
        model, context(kernels::KernelSet::reference), 3,
        [&](const ops::Context& ctx) { return model.loss(ctx, pairs.batch(), 0.1f, 1.0f); });
  }
}

TEST_F(TransformerTest, G10_StepByStepGivesTheLogitsOfTheWhole) {
  for (const auto& config : varied_configs()) {
    const Transformer model(config, 7);
    const ops::Context ctx = context();
    const std::vector<std::vector<std::int32_t>> sources{{3, 4, 5, 0}, {6, 0}};
    const std::vector<std::vector<std::int32_t>> targets{{2, 7, 8, 9}, {2, 5, 5, 4}};
    auto state = model.start(ctx, sources);
    std::vector<Tensor> steps;
    for (std::size_t t = 0; t < 4; ++t)
      steps.push_back(model.step(ctx, *state, std::vector{targets[0][t], targets[1][t]}));
    for (std::size_t b = 0; b < 2; ++b) {
      const auto source =
          ops::Sequences::packed(std::vector<std::int32_t>{0, std::int32_t(sources[b].size())});
      const auto target = ops::Sequences::packed(std::vector<std::int32_t>{0, 4});
      const Tensor memory = model.encode(ctx, sources[b], source);
      const Tensor whole = model.logits(ctx, model.decode(ctx, targets[b], target, memory, source));
      for (std::size_t t = 0; t < 4; ++t)
        for (std::int64_t v = 0; v < whole.dim(1); ++v)
          EXPECT_NEAR(whole.f32()[std::int64_t(t) * whole.dim(1) + v],
                      steps[t].f32()[std::int64_t(b) * whole.dim(1) + v], 2e-5);
    }
  }
}

TEST_F(TransformerTest, ReorderedRowsContinueTheirParents) {
  const Transformer model(small_config(), 7);
  const ops::Context ctx = context();
  const std::vector<std::vector<std::int32_t>> sources{{3, 4, 5, 0}, {6, 0}};
  auto state = model.start(ctx, sources);
  model.step(ctx, *state, std::vector{2, 2});
  model.step(ctx, *state, std::vector{7, 8});
  state->reorder(std::vector{1, 0, 0});
  const Tensor logits = model.step(ctx, *state, std::vector{9, 10, 11});
  // Row 2 went on from sentence 0 after "7" with "11".
  auto alone = model.start(ctx, std::span(sources).first(1));
  model.step(ctx, *alone, std::vector{2});
  model.step(ctx, *alone, std::vector{7});
  const Tensor expected = model.step(ctx, *alone, std::vector{11});
  for (int v = 0; v < 13; ++v) EXPECT_EQ(logits.f32()[2 * 13 + v], expected.f32()[v]);
}

TEST_F(TransformerTest, G09_ASentenceDoesNotFeelItsNeighbours) {
  const Transformer model(small_config(), 7);
  const ops::Context ctx = context();
  const std::vector<std::int32_t> mine{3, 4, 5, 6, 0};
  const auto alone = model.encode(ctx, mine, ops::Sequences::packed(std::vector<std::int32_t>{0, 5}));
  for (const int others : {1, 7, 63}) {
    std::vector<std::int32_t> packed;
    std::vector<std::int32_t> offsets{0};
    for (int i = 0; i < others; ++i) {
      packed.insert(packed.end(), std::size_t(1 + i % 9), std::int32_t(3 + i % 10));
      offsets.push_back(std::int32_t(packed.size()));
    }
    packed.insert(packed.end(), mine.begin(), mine.end());
    offsets.push_back(std::int32_t(packed.size()));
    const auto together = model.encode(ctx, packed, ops::Sequences::packed(offsets));
    for (std::int64_t i = 0; i < alone.elements(); ++i)
      ASSERT_EQ(alone.f32()[i], together.f32()[together.elements() - alone.elements() + i]) << others;
  }
}

// Enough rows and weights for threads to take a share of a step's rows each; fewer, for one to take all.
TEST_F(TransformerTest, G09_AStepGivesTheSameBitsForAnyNumberOfThreads) {
  TransformerConfig config = small_config();
  config.source_vocabulary = config.target_vocabulary = 900;
  config.width = 64;
  config.feed_forward = 128;
  const fovea::test::ScratchFolder folder;
  const Transformer trained(config, 7);
  save(trained, config, DType::f32, folder.path());
  const auto packed = load_for_inference(folder.path(), context().exec);
  const std::array<const TranslationModel*, 2> both{&trained, packed.get()};
  for (const TranslationModel* each : both) {
    const TranslationModel& model = *each;
    for (const int rows : {3, 130}) {
      std::vector<std::vector<std::int32_t>> sources;
      std::vector<std::int32_t> first(std::size_t(rows), 2), second, parents;
      for (std::int32_t i = 0; i < rows; ++i) {
        sources.emplace_back(std::size_t(1 + i % 7), 3 + i);
        second.push_back(5 + 2 * i);
        parents.push_back((i * 3) % rows);
      }
      std::vector<std::vector<float>> found;
      for (const int threads : {1, 2, 3}) {
        const kernels::ExecutionOwner owner(threads);
        ops::Context ctx = context();
        ctx.exec = owner.get();
        auto state = model.start(ctx, sources);
        found.emplace_back();
        for (const auto& tokens : {first, second}) {
          const auto logits = model.step(ctx, *state, tokens);
          found.back().insert(found.back().end(), logits.values().begin(), logits.values().end());
          state->reorder(parents);
        }
        EXPECT_EQ(found.back(), found.front()) << threads << " threads, " << rows << " rows";
      }
      const ops::Context ctx = context();
      auto alone = model.start(ctx, std::span(sources).last(1));
      const auto logits = model.step(ctx, *alone, std::span(first).last(1));
      const auto in_company = std::span(found.front()).subspan(std::size_t(rows - 1) * 900, 900);
      EXPECT_TRUE(std::ranges::equal(logits.values(), in_company)) << rows;
    }
  }
}

bool all_finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float x) { return std::isfinite(x); });
}

// Sides as long as the model takes, of one token, and of none, in one batch.
TEST_F(TransformerTest, H10_LongShortAndEmptySentencesTogether) {
  TransformerConfig config = small_config();
  config.max_positions = 600;
  Transformer model(config, 5);
  model.parameters().allocate_gradients();
  const std::vector<std::int32_t> longest(599, 7), one{4}, none;
  Pairs pairs;
  for (const auto& from : {longest, one, none})
    for (const auto& to : {none, one, longest}) pairs.add(from, to);
  ops::Context ctx = context();
  ops::Tape tape;
  ctx.tape = &tape;
  const auto together = model.loss(ctx, pairs.batch(), 0.1f, 1.0f);
  tape.backward();
  EXPECT_TRUE(all_finite(model.parameters().gradients().values()));
  ctx.tape = nullptr;
  double apart = 0.0;
  for (const auto& from : {longest, one, none})
    for (const auto& to : {none, one, longest}) {
      Pairs pair;
      pair.add(from, to);
      apart += model.loss(ctx, pair.batch(), 0.1f, 1.0f).loss;
    }
  EXPECT_NEAR(together.loss, apart, 1e-5 * apart);
}

// Random shapes, weights up to a thousand times their beginning, random sentences. Gradients are promised up
// to ten times: beyond, products of weights may leave the range of floats.
TEST_F(TransformerTest, H12_FiniteInFiniteOut) {
  const kernels::ExecutionOwner one_thread(1);
  for (std::uint32_t round = 0; round < 1000; ++round) {
    const RandomKey key = RandomKey::of(77, round, site::sample);
    const auto configs = varied_configs();
    TransformerConfig config = configs[below(key, 0, std::uint32_t(configs.size()))];
    config.encoder_layers = 1 + below(key, 1, 2);
    config.decoder_layers = 1 + below(key, 2, 2);
    Transformer model(config, round);
    const float size = std::pow(10.0f, 3.0f * uniform(key, 3));
    for (float& w : model.parameters().values().values()) w *= size;
    Pairs pairs;
    for (std::uint64_t i = 0, at = 10; i < 3; ++i) {
      std::vector<std::int32_t> from(below(key, at++, 12)), to(below(key, at++, 12));
      for (auto* side : {&from, &to})
        for (auto& token : *side) token = std::int32_t(below(key, at++, 13));
      pairs.add(from, to);
    }
    ops::Context ctx = context();
    ctx.exec = one_thread.get();
    ctx.training = round % 2 == 0;
    model.parameters().allocate_gradients();
    ops::Tape tape;
    ctx.tape = &tape;
    ASSERT_TRUE(std::isfinite(model.loss(ctx, pairs.batch(), 0.1f, 1.0f).loss)) << "round " << round;
    tape.backward();
    if (size <= 10.0f) {
      ASSERT_TRUE(all_finite(model.parameters().gradients().values())) << "round " << round;
    }
  }
}

TEST_F(TransformerTest, LearnsToReverse) {
  TransformerConfig config = small_config();
  config.width = 32;
  config.feed_forward = 64;
  config.dropout = 0.0f;
  Transformer model(config, 3);
  model.parameters().allocate_gradients();
  auto& parameters = model.parameters();
  Tensor m = Tensor::zeros(parameters.values().shape()), v = m.clone();
  const kernels::ExecutionOwner one_thread(1);  // too small to share
  ops::Context ctx = context();
  ctx.exec = one_thread.get();
  ops::Tape tape;
  ctx.tape = &tape;
  double nll = 0.0;
  for (std::uint32_t update = 1; update <= 600; ++update) {
    const RandomKey key = RandomKey::of(1, update, site::sample);
    Pairs pairs;
    for (std::uint32_t i = 0; i < 32; ++i) {
      std::vector<std::int32_t> from(1 + below(key, 100 * i, 6));
      for (std::size_t j = 0; j < from.size(); ++j)
        from[j] = std::int32_t(3 + below(key, 100 * i + 1 + j, 10));
      pairs.add(from, {from.rbegin(), from.rend()});
    }
    parameters.zero_gradients();
    const auto sums = model.loss(ctx, pairs.batch(), 0.0f, 1.0f / float(pairs.target_in.size()));
    tape.backward();
    kernels::adam(ctx.exec, parameters.values().elements(),
                  {.rate = 4e-3f * (1.0f - float(update) / 601.0f), .eps = 1e-8f, .t = update},
                  parameters.gradients().f32(), m.f32(), v.f32(), parameters.values().f32(), nullptr);
    nll = sums.nll / double(sums.tokens);
  }
  EXPECT_LT(nll, 0.05);
}

TEST(TransformerConfigTest, NamesWhatCannotBeBuilt) {
  const auto message = [](auto change) {
    TransformerConfig config = small_config();
    change(config);
    try {
      validate(config, Error::Kind::model, "config.json");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::model);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message([](auto&) {}), "");
  EXPECT_EQ(message([](auto& c) { c.heads = 3; }), "config.json: width 16 is not a multiple of 3 heads");
  EXPECT_EQ(message([](auto& c) { c.encoder_layers = 0; }),
            "config.json: number of encoder layers is 0, must be from 1 to 1000");
  EXPECT_NE(message([](auto& c) { c.dropout = 1.0f; }), "");
  EXPECT_NE(message([](auto& c) { c.pad = 13; }), "");
  EXPECT_NE(message([](auto& c) { c.source_vocabulary = 14; }), "");
}

}  // namespace
}  // namespace fovea::models
