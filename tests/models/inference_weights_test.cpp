// Models loaded to answer alone: their weights packed as they are read, as f32, bf16 or i8.
#include <gtest/gtest.h>

#include <cmath>

#include "fovea/models/translation_folder.h"
#include "fovea/models/weights_on_disk.h"
#include "tests/base/scratch.h"
#include "tests/models/recurrent_variants.h"
#include "tests/models/saved_model.h"
#include "tests/models/small_config.h"
#include "tests/models/with_threads.h"

namespace fovea::models {
namespace {

using fovea::test::message_of;
using fovea::test::ScratchFolder;

std::vector<TranslationConfig> all_configs() {
  std::vector<TranslationConfig> configs;
  for (const bool tied : {true, false}) {
    auto config = small_config();
    config.tie_source_target = config.tie_output = tied;
    if (!tied) config.positions = TransformerConfig::Positions::learned;
    configs.push_back(config);
  }
  for (const auto& [name, change] : variants()) {
    auto config = small_recurrent_config();
    change(config);
    configs.push_back(config);
  }
  return configs;
}

class InferenceWeights : public testing::Test, protected WithThreads {
 protected:
  // Logits of a few steps of two sentences.
  std::vector<Tensor> answers(const TranslationModel& model) const {
    const std::vector<std::vector<std::int32_t>> sources{{3, 4, 5, 6, 7, 0}, {6, 0}};
    auto state = model.start(context(), sources);
    std::vector<Tensor> steps{model.step(context(), *state, std::vector{2, 2})};
    state->reorder(std::vector{1, 0, 0});
    steps.push_back(model.step(context(), *state, std::vector{5, 4, 3}));
    return steps;
  }
  std::vector<Tensor> answers(const std::string& folder, std::optional<DType> dtype = {}) const {
    return answers(*load_for_inference(folder_ / folder, owner_.get(), dtype));
  }
  void expect_same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b,
                        const std::string& what) const {
    ASSERT_EQ(a.size(), b.size()) << what;
    for (std::size_t t = 0; t < a.size(); ++t)
      EXPECT_TRUE(std::ranges::equal(a[t].values(), b[t].values())) << what << ", step " << t;
  }
  // The least |a - b| / (1 + |b|) that holds for all logits.
  double distance(const std::vector<Tensor>& a, const std::vector<Tensor>& b) const {
    double most = 0.0;
    for (std::size_t t = 0; t < a.size(); ++t)
      for (std::int64_t i = 0; i < a[t].elements(); ++i) {
        const double x = a[t].f32()[i], y = b[t].f32()[i];
        if (x == y) continue;  // infinities too
        most = std::max(most, std::abs(x - y) / (1.0 + std::abs(y)));
      }
    return most;
  }

  ScratchFolder folder_;
};

TEST_F(InferenceWeights, EveryModelAnswersInEveryType) {
  int number = 0;
  for (const auto& config : all_configs()) {
    const auto model = make_translation_model(config, 7);
    const std::string name = std::to_string(number++);
    save(*model, config, DType::f32, folder_ / name);
    save(*model, config, DType::i8, folder_ / (name + "i8"));
    save(*model, config, DType::bf16, folder_ / (name + "bf16"));
    const auto whole = answers(*model);
    expect_same_bits(answers(name), whole, name + " packed");
    expect_same_bits(answers(name + "bf16", DType::bf16), answers(name + "bf16", DType::bf16),
                     name + " bf16");
    EXPECT_LT(distance(answers(name, DType::bf16), whole), 0.05) << name;
    EXPECT_LT(distance(answers(name, DType::i8), whole), 0.1) << name;
    expect_same_bits(answers(name + "i8"), answers(name, DType::i8), name + " i8");
    // The integers read as f32 are the numbers that the packed ones stand for.
    EXPECT_LT(distance(answers(name + "i8", DType::f32), answers(name + "i8")), 0.1) << name;
  }
}

TEST_F(InferenceWeights, IntegersAreTheNearestOfTheirRow) {
  const TranslationConfig config = small_config();
  const auto model = make_translation_model(config, 7);
  model->parameters().all().front().value.rows(3, 4).f32()[0] = 0.0f;
  std::ranges::fill(model->parameters().all().front().value.rows(5, 6).values(), 0.0f);
  save(*model, config, DType::i8, folder_ / "i8");
  EXPECT_EQ(stored_as(formats::Weights::open(folder_ / "i8")), DType::i8);
  const auto read = load_translation_model(folder_ / "i8");
  const auto before = model->parameters().views(), after = read->parameters().views();
  for (std::size_t i = 0; i < before.size(); ++i) {
    const bool narrow = before[i].parameter->packs(DType::i8);
    for (std::int64_t n = 0; n < before[i].shape[0]; ++n) {
      const auto was = before[i].value.rows(n, n + 1).values(), is = after[i].value.rows(n, n + 1).values();
      float most = 0.0f;
      for (const float w : was) most = std::max(most, std::abs(w));
      for (std::size_t k = 0; k < was.size(); ++k)
        EXPECT_LE(std::abs(was[k] - is[k]), narrow ? 0.502f * most / 127.0f : 0.0f) << before[i].name;
    }
  }
}

TEST_F(InferenceWeights, WhatWasLoadedPackedCannotBeTrainedOrChanged) {
  const TranslationConfig config = small_config();
  save(*make_translation_model(config, 7), config, DType::f32, folder_ / "m");
  const auto model = load_for_inference(folder_ / "m", owner_.get(), DType::i8);
  EXPECT_THROW(model->parameters().allocate_gradients(), Error);
  EXPECT_EQ(load_translation_model(folder_ / "m")->parameters().count(), model->parameters().count());
}

TEST_F(InferenceWeights, OtherKernelsThanItWasPackedForAreRefused) {
  const TranslationConfig config = small_config();
  save(*make_translation_model(config, 7), config, DType::f32, folder_ / "m");
  const kernels::ExecutionOwner reference(1, kernels::KernelSet::reference);
  const auto model = load_for_inference(folder_ / "m", reference.get());
  EXPECT_THROW(answers(*model), Error);
}

TEST_F(InferenceWeights, E04_NotANumberIsNamed) {
  const TranslationConfig config = small_config();
  const auto model = make_translation_model(config, 7);
  const auto view = model->parameters().views()[4];
  view.value.f32()[0] = NAN;
  save(*model, config, DType::f32, folder_ / "m");
  for (const DType dtype : {DType::f32, DType::bf16, DType::i8})
    EXPECT_EQ(non_finite_tensors(*load_for_inference(folder_ / "m", owner_.get(), dtype)),
              std::vector{view.name});
}

// A quantised model whose scales of one tensor are replaced.
class BadScales : public InferenceWeights {
 protected:
  std::string refusal(const std::function<void(formats::SafetensorsWriter&, const std::string&)>& add) {
    const TranslationConfig config = small_config();
    save(*make_translation_model(config, 7), config, DType::i8, folder_ / "m");
    const auto good = formats::SafetensorsFile::open(folder_ / "m/model.safetensors");
    const std::string name = "model.encoder.layers.0.fc1.weight_scale";
    formats::SafetensorsWriter bad;
    for (const auto& tensor : good.tensors())
      if (tensor.name != name) bad.add(tensor.name, good.read_stored(tensor.name));
    add(bad, name);
    bad.save(folder_ / "m/model.safetensors");
    const auto message =
        message_of(Error::Kind::model, [&] { load_for_inference(folder_ / "m", owner_.get()); });
    EXPECT_EQ(message, message_of(Error::Kind::model, [&] { load_translation_model(folder_ / "m"); }));
    return message;
  }
};

TEST_F(BadScales, E09_AreRefusedByName) {
  const std::int64_t rows = small_config().feed_forward;
  for (const float bad : {0.0f, -1.0f, NAN, INFINITY}) {
    const auto message = refusal([&](auto& file, const std::string& name) {
      Tensor scales = Tensor::full({rows}, 0.5f);
      scales.f32()[2] = bad;
      file.add(name, scales);
    });
    EXPECT_NE(message.find("fc1.weight_scale: the scale of row 2 is "), std::string::npos) << message;
  }
  EXPECT_NE(refusal([&](auto& file, const std::string& name) {
              file.add(name, Tensor::full({rows - 1}, 0.5f));
            }).find("has " + std::to_string(rows - 1) + " scales for " + std::to_string(rows) + " rows"),
            std::string::npos);
  EXPECT_NE(refusal([](auto&, const std::string&) {
            }).find("missing tensors: model.encoder.layers.0.fc1.weight_scale"),
            std::string::npos);
}

}  // namespace
}  // namespace fovea::models
