// Attention watched while a pair is read: what is recorded, and that watching changes nothing and costs
// nothing when nobody watches.
#include "fovea/models/watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "fovea/models/transformer.h"
#include "fovea/tensor/storage.h"
#include "tests/base/scratch.h"
#include "tests/models/language_variants.h"
#include "tests/models/small_config.h"
#include "tests/models/with_threads.h"

namespace fovea::models {
namespace {

using attention::Side;
using Ids = std::vector<std::int32_t>;

std::vector<std::string> names(std::span<const std::int32_t> ids) {
  std::vector<std::string> out;
  for (const auto id : ids) out.push_back(id == 0 ? "</s>" : std::to_string(id));
  return out;
}

class Watch : public testing::Test, protected WithThreads {
 protected:
  attention::Recording watched(const TranslationModel& model) {
    return watch(context(), model, source_, target_, names, names);
  }

  const Ids source_{3, 4, 5, 6, 7, 0}, target_{8, 9, 10};
};

TEST_F(Watch, RecordsEveryLayerAndHeadWithItsLabels) {
  const Transformer model(small_config(), 5);
  const auto found = watched(model);
  EXPECT_EQ(found.source, (std::vector<std::string>{"3", "4", "5", "6", "7", "</s>"}));
  EXPECT_EQ(found.target_in, (std::vector<std::string>{"<s>", "8", "9", "10"}));
  EXPECT_EQ(found.target_out, (std::vector<std::string>{"8", "9", "10", "</s>"}));
  ASSERT_EQ(found.layers.size(), 6u);
  for (const auto& layer : found.layers) {
    const auto T = static_cast<std::int64_t>(found.rows(layer.side).size());
    const auto S = static_cast<std::int64_t>(found.columns(layer.side).size());
    ASSERT_EQ(layer.weights_HTS.shape(), (Shape{4, T, S}));
    for (std::int64_t row = 0; row < 4 * T; ++row) {
      const float* w = layer.weights_HTS.f32() + row * S;
      EXPECT_NEAR(std::accumulate(w, w + S, 0.0), 1.0, 1e-5);
      for (std::int64_t s = row % T + 1; layer.side == Side::decoder && s < S; ++s) EXPECT_EQ(w[s], 0.0f);
    }
  }
}

TEST_F(Watch, ATargetOfNothingIsTheStepThatEndsIt) {
  const Transformer model(small_config(), 5);
  const auto found = watch(context(), model, Ids{0}, Ids{}, names, names);
  EXPECT_EQ(found.target_out, (std::vector<std::string>{"</s>"}));
  EXPECT_EQ(found.find(Side::cross, 1)->weights_HTS.shape(), (Shape{4, 1, 1}));
}

// What every layer computes goes into the logits, so equal logits mean that no layer was disturbed.
TEST_F(Watch, ChangesNoBit) {
  auto pre_norm = small_config();
  pre_norm.norm = TransformerConfig::Norm::pre;
  pre_norm.key_width = 3;
  pre_norm.value_width = 5;
  const Ids target_in{2, 8, 9, 10}, start{0, 6}, target_start{0, 4};
  const auto source_rows = Sequences::packed(start), target_rows = Sequences::packed(target_start);
  for (const auto& config : {small_config(), pre_norm}) {
    const Transformer model(config, 5);
    for (const auto set : kernels::available_kernels()) {
      for (const bool training : {false, true}) {
        ops::Context plain = context(set);
        plain.training = training;  // with dropout
        attention::Record record;
        ops::Context seen = plain;
        seen.recorder = &record;
        const auto logits = [&](const ops::Context& ctx) {
          const Tensor memory = model.encode(ctx, source_, source_rows);
          return model.logits(ctx, model.decode(ctx, target_in, target_rows, memory, source_rows));
        };
        const Tensor expected = logits(plain), found = logits(seen);
        EXPECT_EQ(record.calls().size(), 6u);
        EXPECT_TRUE(std::ranges::equal(expected.values(), found.values())) << kernels::name_of(set);
      }
    }
  }
}

TEST_F(Watch, ChangesNoBitOfADecoderThatGoesStepByStep) {
  const Transformer model(small_config(), 5);
  for (const auto set : kernels::available_kernels()) {
    attention::Record record;
    const ops::Context plain = context(set);
    ops::Context seen = plain;
    seen.recorder = &record;
    const std::vector<Ids> sources{source_};
    const auto expected_state = model.start(plain, sources), state = model.start(seen, sources);
    for (const std::int32_t token : {2, 8, 9, 10}) {
      const Tensor expected = model.step(plain, *expected_state, Ids{token}).clone();
      EXPECT_TRUE(std::ranges::equal(expected.values(), model.step(seen, *state, Ids{token}).values()));
    }
    // The steps that were seen are the rows of the whole.
    const auto stepped =
        attention::recording(record, names(source_), names(Ids{2, 8, 9, 10}), names(Ids{8, 9, 10, 0}));
    const auto whole = watch(plain, model, source_, target_, names, names);
    ASSERT_EQ(stepped.layers.size(), whole.layers.size());
    for (std::size_t l = 0; l < whole.layers.size(); ++l) {
      const auto one = stepped.layers[l].weights_HTS.values(), all = whole.layers[l].weights_HTS.values();
      ASSERT_EQ(one.size(), all.size());
      for (std::size_t i = 0; i < all.size(); ++i) EXPECT_NEAR(one[i], all[i], 1e-5);
    }
  }
}

// A [H, T, S] is 16 MB here; blocks that were freed stay with the allocator and count.
TEST_F(Watch, NoWeightsAreComputedWhenNobodyWatches) {
  auto config = small_config();
  config.max_positions = 1024;
  const Transformer model(config, 5);
  Ids source(1000, 3), target(999, 4);
  source.back() = 0;
  class Deaf : public ops::Recorder {
   public:
    bool wants(std::string_view) const override { return false; }
    void attention(std::string_view, const Tensor&) override { ADD_FAILURE() << "was told"; }
  } deaf;
  const std::size_t matrix = std::size_t{4} * 4 * 1000 * 1000;
  for (const bool recorder : {false, true}) {
    release_cached_storage();
    const auto before = storage_statistics();
    ops::Context ctx = context();
    ctx.recorder = recorder ? &deaf : nullptr;
    model.read(ctx, source, target);
    const auto after = storage_statistics();
    EXPECT_LT(after.in_use + after.cached, before.in_use + matrix / 2);
  }
  const auto recording = watch(context(), model, source, target, names, names);
  EXPECT_GT(storage_statistics().in_use, 6 * matrix);
}

TEST_F(Watch, ALanguageModelLooksAtItsOwnText) {
  for (const auto& [name, config] : language_variants()) {
    const auto model = make_language_model(config);
    const auto found = watch(context(), *model, Ids{3, 4, 5, 6}, {"a", "b", "c", "d"});
    EXPECT_TRUE(found.source.empty());
    EXPECT_EQ(found.target_in, found.target_out);
    EXPECT_EQ(found.main_side(), Side::decoder) << name;
    ASSERT_EQ(found.layers.size(), 2u) << name;
    for (const auto& layer : found.layers) EXPECT_EQ(layer.weights_HTS.shape().rank(), 3) << name;
    const std::string said = test::message_of(
        Error::Kind::usage, [&] { watch(context(), *model, Ids(41, 3), std::vector<std::string>(41, "a")); });
    EXPECT_EQ(said.find("text: 41 tokens; the model takes at most 40"), 0u) << said;
  }
}

TEST_F(Watch, RefusesMoreTokensThanItOrTheModelCanTake) {
  const Transformer model(small_config(), 5);  // 32 positions
  const auto fails = [&](const Ids& source, const Ids& target, const std::string& where) {
    try {
      watch(context(), model, source, target, names, names);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::usage);
      const std::string what = error.what();
      EXPECT_NE(what.find(where + ": 33 tokens; the model takes at most 32"), std::string::npos) << what;
    }
  };
  fails(Ids(33, 3), target_, "source");
  fails(source_, Ids(32, 3), "target");
}

TEST_F(Watch, DamagedWeightsAreNamed) {
  Transformer model(small_config(), 5);
  for (const auto& view : model.parameters().views())
    if (view.name.find("decoder.layers.1.encoder_attn.q_proj.weight") != std::string::npos)
      view.value.f32()[3] = std::numeric_limits<float>::quiet_NaN();
  try {
    watched(model);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::model);
    EXPECT_NE(std::string(error.what()).find("cross layer 1: attention weights are not numbers"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace fovea::models
