#include "fovea/models/language_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fovea/base/file.h"
#include "tests/base/scratch.h"
#include "tests/models/language_variants.h"

namespace fovea::models {
namespace {

using fovea::test::message_of;
using fovea::test::ScratchFolder;
using Ids = std::vector<std::int32_t>;

class LanguageFolders : public testing::Test {
 protected:
  ops::Context context() const {
    ops::Context ctx;
    ctx.exec = owner_.get();
    return ctx;
  }
  Tensor answers(const LanguageModel& model) const {
    return model.predict(context(), Ids{3, 1, 4, 1, 5, 9, 2, 6}, Ids{0, 5, 8});
  }
  void save(const LanguageModel& model, const LanguageConfig& config, DType dtype) const {
    std::filesystem::create_directories(folder_ / "m");
    write_atomically(folder_ / "m/config.json", config_json(config, dtype));
    model.weights_file(dtype).save(folder_ / "m/model.safetensors");
  }
  LanguageConfig read(const std::string& json) const {
    return read_language_config(
        formats::Json::parse(json, {.name = "config.json", .kind = Error::Kind::model}));
  }

  kernels::ExecutionOwner owner_{2};
  ScratchFolder folder_;
};

double distance(const Tensor& a, const Tensor& b) {
  double most = 0.0;
  for (std::int64_t i = 0; i < a.elements(); ++i)
    most = std::max(most, std::abs(double(a.f32()[i]) - b.f32()[i]) / (1.0 + std::abs(double(b.f32()[i]))));
  return most;
}

TEST_F(LanguageFolders, ModelsOfTransformersGiveTheirLogits) {
  const std::filesystem::path fixtures = FOVEA_SOURCE_DIR "/tests/models/huggingface";
  for (const std::string family : {"gpt2", "llama", "mistral", "qwen2"}) {
    const auto expected = formats::SafetensorsFile::open(fixtures / family / "expected.safetensors");
    const Tensor tokens = expected.read("tokens"), start = expected.read("start");
    const auto ids = [](const Tensor& t) { return Ids(t.f32(), t.f32() + t.elements()); };
    const auto model = load_language_model(fixtures / family);
    EXPECT_LT(distance(model->predict(context(), ids(tokens), ids(start)), expected.read("logits")), 1e-4)
        << family;
    const auto packed = load_language_model_for_inference(fixtures / family, owner_.get());
    EXPECT_LT(distance(packed->predict(context(), ids(tokens), ids(start)), expected.read("logits")), 1e-4)
        << family;
  }
}

TEST_F(LanguageFolders, WhatIsSavedIsReadAgain) {
  for (const auto& [name, config] : language_variants()) {
    const auto model = make_language_model(config, 7);
    save(*model, config, DType::f32);
    EXPECT_TRUE(
        std::ranges::equal(answers(*load_language_model(folder_ / "m")).values(), answers(*model).values()))
        << name;
    EXPECT_TRUE(
        std::ranges::equal(answers(*load_language_model_for_inference(folder_ / "m", owner_.get())).values(),
                           answers(*model).values()))
        << name;
    EXPECT_EQ(config_json(read(config_json(config, DType::f32)), DType::f32),
              config_json(config, DType::f32));
    EXPECT_EQ(parameter_count(config), static_cast<double>(model->parameters().count())) << name;
  }
}

TEST_F(LanguageFolders, NarrowWeightsAnswerNearly) {
  for (const auto& [name, config] : language_variants()) {
    const auto model = make_language_model(config, 7);
    for (const DType dtype : {DType::bf16, DType::i8}) {
      save(*model, config, dtype);
      const auto held = load_language_model_for_inference(folder_ / "m", owner_.get());
      EXPECT_LT(distance(answers(*held), answers(*model)), 0.03) << name;
      EXPECT_GT(distance(answers(*held), answers(*model)), 0.0) << name;
      const auto wide = load_language_model(folder_ / "m");
      EXPECT_LT(distance(answers(*wide), answers(*model)), 0.03) << name;
    }
  }
}

TEST_F(LanguageFolders, AGpt2WithoutItsPrefixIsRead) {
  const auto model = make_language_model(small_gpt2(), 7);
  save(*model, small_gpt2(), DType::f32);
  formats::SafetensorsWriter writer;
  {
    const auto weights = formats::Weights::open(folder_ / "m");
    for (const auto& name : weights.names())
      writer.add(name.substr(std::string("transformer.").size()), weights.read(name));
  }
  writer.add("h.0.attn.bias", Tensor::zeros({1, 1, 4, 4}));
  writer.save(folder_ / "m/model.safetensors");
  EXPECT_TRUE(
      std::ranges::equal(answers(*load_language_model(folder_ / "m")).values(), answers(*model).values()));
}

TEST_F(LanguageFolders, AMatrixOfTheWrongShapeIsNamed) {
  const auto model = make_language_model(small_gpt2(), 7);
  auto config = small_gpt2();
  save(*model, config, DType::f32);
  config.feed_forward = 20;
  write_atomically(folder_ / "m/config.json", config_json(LanguageConfig(config), DType::f32));
  const auto message = message_of(Error::Kind::model, [&] { load_language_model(folder_ / "m"); });
  EXPECT_NE(message.find("transformer.h.0.mlp.c_fc.weight"), std::string::npos) << message;
  EXPECT_NE(message.find("[12, 48]"), std::string::npos) << message;
  EXPECT_NE(message.find("[12, 20]"), std::string::npos) << message;
}

TEST_F(LanguageFolders, ConfigsThatCannotBeAreRefusedByKey) {
  const std::string llama =
      R"("model_type": "llama", "vocab_size": 9, "num_hidden_layers": 1, "num_attention_heads": 2, )";
  const std::pair<std::string, std::string> cases[] = {
      {R"({"model_type": "bloom"})", "bloom"},
      {R"({"model_type": "gpt2"})", "vocab_size"},
      {R"({"model_type": "gpt2", "vocab_size": 9, "n_embd": 10, "n_head": 3})", "3 heads"},
      {R"({"model_type": "gpt2", "vocab_size": 9, "bos_token_id": 9, "n_embd": 6, "n_head": 3})", "token 9"},
      {R"({"model_type": "gpt2", "vocab_size": 9, "activation_function": "mish"})", "mish"},
      {"{" + llama + R"("hidden_size": 8})", "intermediate_size"},
      {"{" + llama + R"("hidden_size": 8, "intermediate_size": 4, "num_key_value_heads": 3})", "key heads"},
      {"{" + llama + R"("hidden_size": 8, "intermediate_size": 4, "rope_scaling": {"rope_type": "magic"}})",
       "magic"},
      {"{" + llama + R"("hidden_size": 8, "intermediate_size": 4, "rope_scaling": {"rope_type": "linear"}})",
       "factor"},
      {"{" + llama + R"("hidden_size": 8, "intermediate_size": 4, "layer_types": ["sliding_attention"]})",
       "layer_types[0]"},
  };
  for (const auto& [json, named] : cases) {
    const auto message = message_of(Error::Kind::model, [&] { read(json); });
    EXPECT_NE(message.find(named), std::string::npos) << json << " -> " << message;
  }
}

}  // namespace
}  // namespace fovea::models
