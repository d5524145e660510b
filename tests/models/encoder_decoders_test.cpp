// T5, BART, mBART, Pegasus and M2M100 as directories of Hugging Face Transformers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "fovea/formats/safetensors.h"
#include "fovea/models/m2m100.h"
#include "fovea/models/t5.h"
#include "fovea/models/transformer_folder.h"
#include "tests/base/scratch.h"
#include "tests/models/family_variants.h"
#include "tests/models/saved_model.h"
#include "tests/models/some_pairs.h"
#include "tests/models/with_threads.h"

namespace fovea::models {
namespace {

using formats::Json;
using fovea::test::message_of;
using fovea::test::ScratchFolder;
using Ids = std::vector<std::int32_t>;

class EncoderDecoders : public testing::Test, protected WithThreads {
 protected:
  Tensor answers(const TranslationModel& model) const { return model.predict(context(), pairs_.batch()); }
  TransformerConfig read(const std::string& json) const {
    return read_config(Json::parse(json, {"config.json", Error::Kind::model}));
  }

  const Pairs pairs_ = some_pairs();
  const ScratchFolder folder_;
};

double distance(const Tensor& a, const Tensor& b) {
  double most = 0.0;
  for (std::int64_t i = 0; i < a.elements(); ++i)
    most = std::max(most, std::abs(double(a.f32()[i]) - b.f32()[i]) / (1.0 + std::abs(double(b.f32()[i]))));
  return most;
}

/// What Transformers said of a model of its making: sources and targets, and the logits of these.
struct Expected {
  explicit Expected(const std::filesystem::path& folder)
      : file(formats::SafetensorsFile::open(folder / "expected.safetensors")) {}

  Ids ids(const char* name) const {
    const Tensor found = file.read(name);
    return Ids(found.f32(), found.f32() + found.elements());
  }
  formats::SafetensorsFile file;
};

TEST_F(EncoderDecoders, ModelsOfTransformersGiveTheirLogits) {
  const std::filesystem::path fixtures = FOVEA_SOURCE_DIR "/tests/models/huggingface";
  for (const std::string family : {"t5", "t5-untied", "bart", "mbart", "pegasus", "m2m100"}) {
    const Expected expected(fixtures / family);
    const Ids source = expected.ids("source"), source_start = expected.ids("source_start");
    const Ids out = expected.ids("target"), target_start = expected.ids("target_start");
    const auto model = load_translation_model(fixtures / family);
    Ids in = out;
    for (std::size_t b = 0; b + 1 < target_start.size(); ++b) {
      const auto begin = in.begin() + target_start[b], end = in.begin() + target_start[b + 1];
      std::rotate(begin, end - 1, end);
      *begin = model->vocabulary().start;
    }
    const TranslationBatch batch{source, source_start, in, out, target_start};
    const Tensor logits = expected.file.read("logits");
    EXPECT_LT(distance(model->predict(context(), batch), logits), 1e-4) << family;
    const auto packed = load_for_inference(fixtures / family, context().exec);
    EXPECT_LT(distance(packed->predict(context(), batch), logits), 1e-4) << family;
  }
}

TEST_F(EncoderDecoders, WhatIsSavedIsReadAgain) {
  for (const auto& [name, config] : family_variants()) {
    const Transformer model(config, 7);
    save(model, config, DType::f32, folder_ / name);
    const Tensor expected = answers(model);
    EXPECT_TRUE(
        std::ranges::equal(answers(*load_translation_model(folder_ / name)).values(), expected.values()))
        << name;
    EXPECT_TRUE(std::ranges::equal(answers(*load_for_inference(folder_ / name, context().exec)).values(),
                                   expected.values()))
        << name;
    const std::string json = config_json(config, {}, DType::f32);
    EXPECT_EQ(config_json(read(json), {}, DType::f32), json) << name;
    EXPECT_EQ(parameter_count(config), static_cast<double>(model.parameters().count())) << name;
    EXPECT_EQ(read(json).first(), config.first()) << name;
  }
}

TEST_F(EncoderDecoders, NarrowWeightsAnswerNearly) {
  for (const auto& [name, config] : family_variants()) {
    const Transformer model(config, 7);
    const Tensor expected = answers(model);
    for (const DType dtype : {DType::bf16, DType::i8}) {
      save(model, config, dtype, folder_ / name);
      const auto held = load_for_inference(folder_ / name, context().exec, dtype);
      EXPECT_LT(distance(answers(*held), expected), 0.15) << name;
      EXPECT_GT(distance(answers(*held), expected), 0.0) << name;
    }
  }
}

TEST_F(EncoderDecoders, RelativePositionsReachFurtherThanTheyWereMadeFor) {
  const TransformerConfig config = family_variants().at("t5");
  const Transformer model(config, 7);
  Pairs pairs;
  Ids target;
  for (std::int32_t t = 0; t < 200; ++t) target.push_back(3 + t % 9);
  pairs.add({3, 4, 5}, target);
  pairs.target_in.front() = config.first();
  const Tensor whole = answers(model), all = model.predict(context(), pairs.batch());
  const auto state = model.start(context(), std::vector<Ids>{pairs.source});
  double most = 0.0;
  for (std::int64_t t = 0; t < all.dim(0); ++t) {
    const Tensor logits =
        model.step(context(), *state, std::span(pairs.target_in).subspan(std::size_t(t), 1));
    most = std::max(most, distance(logits, all.rows(t, t + 1)));
  }
  EXPECT_LT(most, 2e-5);
}

TEST_F(EncoderDecoders, T5SaysWhatItsOutputLayerIs) {
  const auto json = [](const char* more) {
    return std::string(R"({"model_type": "t5", "d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1,)") +
           R"("num_heads": 2, "vocab_size": 20)" + more + "}";
  };
  EXPECT_TRUE(read(json("")).scale_output && read(json("")).tie_output);
  const auto untied = read(json(R"(, "tie_word_embeddings": false)"));
  EXPECT_FALSE(untied.scale_output || untied.tie_output);
  const auto newer = read(json(R"(, "tie_word_embeddings": true, "scale_decoder_outputs": false)"));
  EXPECT_TRUE(!newer.scale_output && newer.tie_output);
  EXPECT_TRUE(read(json(R"(, "feed_forward_proj": "gated-gelu")")).gated);
  const auto message =
      message_of(Error::Kind::model, [&] { read(json(R"(, "feed_forward_proj": "gated-swiglu")")); });
  EXPECT_NE(message.find("unknown projection 'gated-swiglu'"), std::string::npos) << message;
}

// Transformers 5 writes a model of version 1.1 as tied, beside the layer that is not.
TEST_F(EncoderDecoders, AnOutputLayerInTheFileIsTheModels) {
  TransformerConfig config = family_variants().at("t5 1.1");
  const Transformer model(config, 7);
  save(model, config, DType::f32, folder_ / "m");
  std::string json = config_json(config, {}, DType::f32);
  const std::string untied = "\"tie_word_embeddings\": false";
  json.replace(json.find(untied), untied.size(), "\"tie_word_embeddings\": true");
  write_atomically(folder_ / "m/config.json", json);
  EXPECT_TRUE(
      std::ranges::equal(answers(*load_translation_model(folder_ / "m")).values(), answers(model).values()));
}

TEST_F(EncoderDecoders, E01_MissingAndUnknownTensorsAreNamed) {
  const TransformerConfig config = family_variants().at("t5");
  const Transformer model(config, 7);
  save(model, config, DType::f32, folder_ / "m");
  formats::SafetensorsWriter writer;
  {
    const auto weights = formats::Weights::open(folder_ / "m");
    for (const auto& name : weights.names())
      if (name != "decoder.block.1.layer.1.EncDecAttention.q.weight") writer.add(name, weights.read(name));
  }
  writer.add("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
             Tensor::zeros({8, 4}));  // old files have it, unused
  writer.add("decoder.adapter.weight", Tensor::zeros({2, 2}));
  writer.save(folder_ / "m/model.safetensors");
  const auto message = message_of(Error::Kind::model, [&] { load_translation_model(folder_ / "m"); });
  EXPECT_NE(message.find("missing tensors: decoder.block.1.layer.1.EncDecAttention.q.weight"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("unknown tensors: decoder.adapter.weight"), std::string::npos) << message;
  EXPECT_EQ(message.find("relative_attention_bias"), std::string::npos) << message;
}

TEST_F(EncoderDecoders, B05_AnArchitectureThatIsNotHereNamesThoseThatAre) {
  const auto message = message_of(Error::Kind::model, [&] { read(R"({"model_type": "umt5"})"); });
  EXPECT_NE(message.find("a model of type 'umt5'"), std::string::npos) << message;
  EXPECT_NE(message.find("m2m_100 (NLLB), t5, mt5"), std::string::npos) << message;
}

}  // namespace
}  // namespace fovea::models
