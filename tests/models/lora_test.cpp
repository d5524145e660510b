// Adapters beside models that stay as they are: the base's bits at the beginning, and once they have learned,
// the same answers as from their folder, merged.
#include "fovea/models/lora.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "fovea/base/file.h"
#include "fovea/formats/adapter.h"
#include "fovea/models/any_model.h"
#include "tests/base/scratch.h"
#include "tests/models/language_variants.h"
#include "tests/models/small_config.h"
#include "tests/models/some_pairs.h"
#include "tests/models/with_threads.h"

namespace fovea::models {
namespace {

using fovea::test::expect_error;
using fovea::test::ScratchFolder;
using Ids = std::vector<std::int32_t>;

const LoraOptions all{.rank = 3, .alpha = 6, .dropout = 0.2, .targets = {"all-linear"}};

class Adapted : public WithThreads, public testing::Test {
 protected:
  void save(const Model& model, const std::string& config) const {
    std::filesystem::create_directories(folder_ / "base");
    write_atomically(folder_ / "base/config.json", config);
    model.weights_file(DType::f32).save(folder_ / "base/model.safetensors");
  }
  formats::Weights base() const { return formats::Weights::open(folder_ / "base"); }
  void adapt(Model& model, std::string_view type, const LoraOptions& options,
             std::vector<std::string> saved = {}) const {
    model.set_lora(std::make_shared<Lora>(model, type, options, std::move(saved), 5, "recipe: lora.targets"));
  }
  /// Adapters that have learned something, in a folder of their own.
  void learn_and_save(Model& model, const std::string& task) const {
    std::uint64_t i = 0;
    for (auto& parameter : model.learned().all())
      for (float& w : parameter.value.values()) w += 0.1f * normal(RandomKey::of(9, 0, 1), i++);
    std::filesystem::create_directories(folder_ / "adapter");
    write_atomically(folder_ / "adapter/adapter_config.json", model.lora()->config_json("../base", task));
    model.learned_file(DType::f32).save(folder_ / "adapter/adapter_model.safetensors");
  }

  ScratchFolder folder_;
};

void expect_same_bits(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape().text(), b.shape().text());
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0);
}

void expect_near(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape().text(), b.shape().text());
  double largest = 1.0;
  for (const float value : b.values()) largest = std::max(largest, std::abs(double{value}));
  for (std::int64_t i = 0; i < a.elements(); ++i) ASSERT_NEAR(a.f32()[i], b.f32()[i], 1e-5 * largest) << i;
}

const Ids tokens{3, 1, 4, 1, 5, 9, 2, 6}, start{0, 5, 8};

TEST_F(Adapted, LanguageModelsBeginAsTheyWereAndMergeIntoWhatTheyBecame) {
  for (const auto& [name, config] : language_variants()) {
    SCOPED_TRACE(name);
    const bool gpt2 = std::holds_alternative<Gpt2Config>(config);
    const auto whole = make_language_model(config, 3);
    save(*whole, config_json(config, DType::f32));
    const auto model = declare_language_model(config);
    model->read_weights(base());
    adapt(*model, gpt2 ? "gpt2" : "llama", all);
    expect_same_bits(model->predict(context(), tokens, start), whole->predict(context(), tokens, start));
    learn_and_save(*model, "CAUSAL_LM");
    const Tensor learned = model->predict(context(), tokens, start);
    expect_near(load_language_model(folder_ / "adapter")->predict(context(), tokens, start), learned);
    const auto packed = load_language_model_for_inference(folder_ / "adapter", context().exec);
    expect_near(packed->predict(context(), tokens, start), learned);
  }
}

TEST_F(Adapted, TheBaseHasNeitherGradientsNorAnArena) {
  const LanguageConfig config = small_gpt2();
  save(*make_language_model(config, 3), config_json(config, DType::f32));
  const auto model = declare_language_model(config);
  model->read_weights(base());
  adapt(*model, "gpt2", {.rank = 2});
  EXPECT_FALSE(model->parameters().values().defined());
  EXPECT_FALSE(model->parameters().gradients().defined());
  for (const auto& parameter : model->parameters().all()) EXPECT_FALSE(parameter.value.requires_grad());
  EXPECT_EQ(model->learned().count(), 2 * 2 * (12 + 36));
  ops::Tape tape;
  auto ctx = context();
  ctx.tape = &tape;
  ctx.training = true;
  model->loss(ctx, {tokens, tokens, start}, 0.0f, 1.0f);
  tape.backward();
  for (const auto& parameter : model->learned().all()) {
    const bool zero = std::ranges::all_of(parameter.value.grad().values(), [](float g) { return g == 0.0f; });
    EXPECT_EQ(zero, parameter.name.ends_with("lora_A.weight")) << parameter.name;  // as B is zero
  }
}

TEST_F(Adapted, ClassifiersLearnTheirHeadsWhole) {
  using Family = BertConfig::Family;
  for (const auto& [family, type] :
       {std::pair(Family::bert, "bert"), {Family::distilbert, "distilbert"}, {Family::roberta, "roberta"}}) {
    SCOPED_TRACE(type);
    BertConfig config;
    config.family = family;
    config.vocabulary = 20;
    config.max_positions = 12;
    config.token_types = family == Family::distilbert ? 0 : 2;
    config.width = 8;
    config.layers = 2;
    config.heads = 2;
    config.feed_forward = 12;
    config.deviation = 0.3f;
    config.pad = family == Family::roberta ? 1 : 0;
    config.head = BertConfig::Head::masked;  // of which nothing is left
    save(Bert(config, 3), config_json(config, DType::f32));
    config.head = BertConfig::Head::text;
    config.pooler = family == Family::bert;
    config.classes.names = {"x", "y", "z"};
    Bert model(config, Declared{});
    model.read_pretrained(base());
    std::vector<std::string> saved{"classifier"};
    if (family == Family::bert) saved.emplace_back("pooler");
    if (family == Family::distilbert) saved.emplace_back("pre_classifier");
    adapt(model, type, {.rank = 2}, saved);
    learn_and_save(model, "SEQ_CLS");
    const TextBatch batch{.tokens = tokens, .types = {}, .start = start};
    const Tensor learned = model.logits(context(), batch);
    // Without a config.json of its own an adapter's classes have no names.
    auto merged = load_classifier(folder_ / "adapter", context().exec);
    EXPECT_EQ(merged->classes().names.front(), "LABEL_0");
    expect_near(merged->logits(context(), batch), learned);
    write_atomically(folder_ / "adapter/config.json", config_json(config, DType::f32));
    merged = load_classifier(folder_ / "adapter", context().exec);
    EXPECT_EQ(merged->classes().names.front(), "x");
    expect_near(merged->logits(context(), batch), learned);
    std::filesystem::remove(folder_ / "adapter/config.json");
  }
}

TEST_F(Adapted, TranslatorsStepAsTheyReadWhole) {
  const TransformerConfig config = small_config();
  const auto whole = make_translation_model(config, 3);
  save(*whole, config_json(TranslationConfig(config), {}, DType::f32));
  const auto model = declare_translation_model(config);
  model->read_weights(base());
  adapt(*model, "marian", all);
  const auto stepped = [&](const TranslationModel& of) {
    const std::vector<Ids> sources{{3, 4, 5, 0}, {6, 0}};
    const auto state = of.start(context(), sources);
    of.step(context(), *state, Ids{2, 2});
    return of.step(context(), *state, Ids{7, 8});
  };
  expect_same_bits(stepped(*model), stepped(*whole));
  learn_and_save(*model, "SEQ_2_SEQ_LM");
  const auto merged = load_translation_model(folder_ / "adapter");
  expect_near(stepped(*merged), stepped(*model));
  const Pairs pairs = some_pairs();
  expect_near(merged->predict(context(), pairs.batch()), model->predict(context(), pairs.batch()));
}

TEST_F(Adapted, WhatWasLearnedIsReadBackToTheBit) {
  const LanguageConfig config = small_llama();
  save(*make_language_model(config, 3), config_json(config, DType::f32));
  const auto make = [&] {
    auto model = declare_language_model(config);
    model->read_weights(base());
    adapt(*model, "llama", all);
    return model;
  };
  const auto model = make(), again = make();
  learn_and_save(*model, "CAUSAL_LM");
  const auto file = folder_ / "adapter/adapter_model.safetensors";
  again->read_learned(formats::Weights::open_file(file));
  expect_same_bits(again->predict(context(), tokens, start), model->predict(context(), tokens, start));
}

TEST_F(Adapted, ConfigNamesWhatIsAdaptedAndNothingElse) {
  const auto config_of = [&](const LanguageConfig& config, const char* type,
                             std::vector<std::string> targets) {
    save(*make_language_model(config, 3), config_json(config, DType::f32));
    const auto model = declare_language_model(config);
    model->read_weights(base());
    adapt(*model, type, {.rank = 2, .alpha = 4, .rank_stabilised = true, .targets = std::move(targets)});
    return formats::Json::parse(model->lora()->config_json("base", "CAUSAL_LM"),
                                {.name = "adapter_config.json", .kind = Error::Kind::model});
  };
  const auto targets_of = [](const formats::Json& config) {
    std::vector<std::string> targets;
    for (const auto& target : config.at("target_modules").elements()) targets.emplace_back(target.text());
    return targets;
  };
  const auto gpt2 = config_of(small_gpt2(), "gpt2", {});
  EXPECT_EQ(targets_of(gpt2), std::vector<std::string>{"c_attn"});
  EXPECT_TRUE(gpt2.at("fan_in_fan_out").boolean());
  EXPECT_TRUE(gpt2.at("use_rslora").boolean());
  EXPECT_EQ(gpt2.at("peft_type").text(), "LORA");
  EXPECT_EQ(gpt2.at("r").integer(), 2);
  EXPECT_EQ(targets_of(config_of(small_gpt2(), "gpt2", {"attn.c_proj"})),
            std::vector<std::string>{"attn.c_proj"});
  EXPECT_EQ(targets_of(config_of(small_llama(), "llama", {})),
            (std::vector<std::string>{"q_proj", "v_proj"}));
  const auto every = config_of(small_llama(), "llama", {"all-linear"});
  EXPECT_EQ(targets_of(every), (std::vector<std::string>{"down_proj", "gate_proj", "k_proj", "o_proj",
                                                         "q_proj", "up_proj", "v_proj"}));
  EXPECT_FALSE(every.at("fan_in_fan_out").boolean());
}

/// Adapters that PEFT made, with the logits that it gives: benchmarks/peers/open_adapters.py --fixtures.
TEST_F(Adapted, AdaptersOfPeftGiveItsLogits) {
  const std::filesystem::path fixtures = FOVEA_SOURCE_DIR "/tests/models/huggingface";
  const auto ids = [](const Tensor& t) { return Ids(t.f32(), t.f32() + t.elements()); };
  const auto close = [](const Tensor& a, const Tensor& b) {
    ASSERT_EQ(a.shape().text(), b.shape().text());
    for (std::int64_t i = 0; i < a.elements(); ++i)
      ASSERT_NEAR(a.f32()[i], b.f32()[i], 1e-4 * (1.0 + std::abs(double{b.f32()[i]})));
  };
  for (const std::string name : {"gpt2", "llama", "bert-text"}) {
    SCOPED_TRACE(name);
    const auto given = formats::SafetensorsFile::open(fixtures / name / "expected.safetensors");
    const auto folder = fixtures / (name + "-lora");
    const Tensor expected = formats::SafetensorsFile::open(folder / "expected.safetensors").read("logits");
    const Ids tokens = ids(given.read("tokens")), start = ids(given.read("start"));
    if (name == "bert-text") {
      const Ids types = ids(given.read("types"));
      close(load_classifier(folder, context().exec)->logits(context(), {tokens, types, start}), expected);
    } else {
      close(load_language_model(folder)->predict(context(), tokens, start), expected);
    }
  }
}

TEST_F(Adapted, TargetsThatAreNoneAreNamed) {
  LlamaConfig config = small_llama();
  config.tie_output = false;
  save(*make_language_model(config, 3), config_json(LanguageConfig(config), DType::f32));
  const auto model = declare_language_model(config);
  model->read_weights(base());
  const auto expect = [&](const char* type, const char* target, const char* part) {
    expect_error(
        Error::Kind::usage, [&] { adapt(*model, type, {.rank = 2, .targets = {target}}); },
        "recipe: lora.targets", part);
  };
  expect("llama", "q_prj", "'q_prj' that takes an adapter; did you mean q_proj?");
  expect("llama", "lm_head", "it is the output layer");
  expect("llama", "proj", "no module 'proj'");
  expect("fovea-recurrent", "q_proj", "'fovea-recurrent' takes no adapters");
}

}  // namespace
}  // namespace fovea::models
