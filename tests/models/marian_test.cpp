// config.json and weights: what is read back, and what is refused.
#include "fovea/models/marian.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "fovea/base/bfloat16.h"
#include "fovea/base/file.h"
#include "tests/base/scratch.h"
#include "tests/models/small_config.h"

namespace fovea::models {
namespace {

using Json = nlohmann::ordered_json;
using test::message_of;
using test::ScratchFolder;

std::vector<TransformerConfig> varied_configs() {
  std::vector<TransformerConfig> configs(6, small_config());
  configs[1].norm = TransformerConfig::Norm::pre;
  configs[1].positions = TransformerConfig::Positions::learned;
  configs[1].activation = kernels::Activation::gelu;
  configs[2].key_width = 3;
  configs[2].value_width = 5;
  configs[2].activation = kernels::Activation::silu;
  configs[3].tie_source_target = configs[3].tie_output = false;
  configs[3].source_vocabulary = 17;
  configs[3].activation = kernels::Activation::tanh;
  configs[4].encoder_layers = 1;
  configs[4].decoder_layers = 3;
  configs[4].scale_embedding = false;
  configs[4].activation = kernels::Activation::identity;
  configs[5].tie_source_target = false;
  configs[5].source_vocabulary = 11;
  configs[5].dropout = 0.3f;
  configs[5].attention_dropout = 0.123f;
  configs[5].activation_dropout = 0.7f;
  configs[5].eos = 10;
  configs[5].pad = 0;
  configs[5].unk = 3;
  return configs;
}

Json config_of(const TransformerConfig& config) { return Json::parse(config_json(config, {}, DType::f32)); }

TransformerConfig read(const Json& config) {
  return read_config(formats::Json::parse(config.dump(), {"config.json", Error::Kind::model}));
}

/// The message with which a changed config of the small model is refused.
std::string refusal(const std::string& key, const Json& value) {
  Json config = config_of(small_config());
  config[key] = value;
  return message_of(Error::Kind::model, [&] { read(config); });
}

void write(const std::filesystem::path& folder, const Transformer& model, DType stored = DType::f32) {
  std::filesystem::create_directories(folder);
  write_atomically(folder / "config.json", config_json(model.config(), {}, stored));
  weights_file(model, stored).save(folder / "model.safetensors");
}

/// The weights of a small model, each tensor first offered to `change`, which says whether it stays.
template <class Change>
void write_changed(const std::filesystem::path& folder, const Change& change,
                   const TransformerConfig& config = small_config()) {
  const Transformer model(config);
  write(folder, model);
  formats::SafetensorsWriter file;
  for (const auto& view : model.parameters().views()) {
    std::string name = view.name;
    Tensor value = view.value.clone();
    if (change(name, value)) file.add(name, value);
  }
  file.save(folder / "model.safetensors");
}

std::string loading_fails(const std::filesystem::path& folder) {
  return message_of(Error::Kind::model, [&] { load_transformer(folder); });
}

TEST(Marian, ConfigsReadBackAsTheyWere) {
  for (const auto& config : varied_configs()) {
    const auto text = config_json(config, {.beam = 7, .length_penalty = 0.6}, DType::bf16);
    const auto back = read_config(formats::Json::parse(text, {"config.json", Error::Kind::model}));
    EXPECT_EQ(config_json(back, {.beam = 7, .length_penalty = 0.6}, DType::bf16), text);
    EXPECT_EQ(back.d_k(), config.d_k());
    EXPECT_EQ(back.d_v(), config.d_v());
    EXPECT_EQ(back.norm, config.norm);
    EXPECT_EQ(back.positions, config.positions);
    EXPECT_EQ(back.activation, config.activation);
    EXPECT_EQ(back.source_vocabulary, config.source_vocabulary);
    EXPECT_EQ(back.dropout, config.dropout);
    EXPECT_EQ(back.attention_dropout, config.attention_dropout);
    EXPECT_EQ(back.eos, config.eos);
    EXPECT_EQ(back.pad, config.pad);
    EXPECT_EQ(back.unk, config.unk);
  }
}

TEST(Marian, SaysWhatMarianMTCannotHold) {
  auto config = small_config();
  EXPECT_EQ(why_not_marian(config), "");
  EXPECT_EQ(config_of(config)["architectures"][0], "MarianMTModel");
  const auto reason = [](const auto& change) {
    auto changed = small_config();
    change(changed);
    EXPECT_EQ(config_of(changed)["model_type"], "fovea-transformer");
    return why_not_marian(changed);
  };
  EXPECT_EQ(reason([](auto& c) { c.norm = TransformerConfig::Norm::pre; }), "pre-norm layers");
  EXPECT_EQ(reason([](auto& c) { c.positions = TransformerConfig::Positions::learned; }),
            "learned positions");
  EXPECT_NE(reason([](auto& c) { c.value_width = 3; }), "");
  EXPECT_NE(reason([](auto& c) { c.tie_output = false; }), "");
}

TEST(Marian, TheParameterCountIsThatOfTheModel) {
  for (const auto& config : varied_configs())
    EXPECT_EQ(parameter_count(config), static_cast<double>(Transformer(config).parameters().count()));
}

TEST(Marian, WeightsSavedAsF32AreTheSameBits) {
  for (const auto& config : varied_configs()) {
    const ScratchFolder folder;
    Transformer model(config, 3);
    std::vector<float> bias(static_cast<std::size_t>(config.target_vocabulary), 0.25f);
    model.set_output_bias(Tensor::of({config.target_vocabulary}, bias));
    write(folder.path(), model);
    const auto back = load_transformer(folder.path());
    ASSERT_EQ(back->parameters().count(), model.parameters().count());
    EXPECT_EQ(std::memcmp(back->parameters().values().f32(), model.parameters().values().f32(),
                          model.parameters().values().bytes()),
              0);
    EXPECT_TRUE(std::ranges::equal(back->output_bias().values(), bias));
  }
}

TEST(Marian, WeightsSavedAsBf16AreRoundedToNearest) {
  const ScratchFolder folder;
  const Transformer model(small_config(), 3);
  write(folder.path(), model, DType::bf16);
  const auto back = load_transformer(folder.path());
  const auto before = model.parameters().values().values(), after = back->parameters().values().values();
  std::size_t changed = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_LE(std::abs(after[i] - before[i]), std::abs(before[i]) / 256);  // half a unit in the eighth bit
    changed += after[i] != before[i];
  }
  EXPECT_GT(changed, before.size() / 4);
  EXPECT_FALSE(back->output_bias().defined());  // all zero
}

TEST(Marian, B01_ConfigMissingEmptyAListOrTruncated) {
  const ScratchFolder folder;
  write(folder.path(), Transformer(small_config()));
  const std::string whole = config_json(small_config(), {}, DType::f32);
  for (const std::string& text : {std::string(), std::string("[]"), whole.substr(0, whole.size() / 2)}) {
    std::ofstream(folder / "config.json") << text;
    EXPECT_NE(loading_fails(folder.path()).find("config.json"), std::string::npos);
  }
  std::filesystem::remove(folder / "config.json");
  EXPECT_NE(loading_fails(folder.path()).find("config.json"), std::string::npos);
}

TEST(Marian, B02_RequiredKeysMissingNullOrOfTheWrongType) {
  for (const std::string key :
       {"model_type", "d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads",
        "decoder_attention_heads", "encoder_ffn_dim", "decoder_ffn_dim", "activation_function",
        "max_position_embeddings", "vocab_size", "eos_token_id", "pad_token_id", "decoder_start_token_id"}) {
    Json config = config_of(small_config());
    config.erase(key);
    EXPECT_NE(message_of(Error::Kind::model, [&] { read(config); }).find("has no \"" + key + "\""),
              std::string::npos)
        << key;
    for (const Json& value : {Json(nullptr), Json("wide"), Json::array({1}), Json(true)}) {
      if (value.is_string() && (key == "model_type" || key == "activation_function")) continue;  // B05
      EXPECT_NE(refusal(key, value).find("config.json: " + key), std::string::npos) << key << " " << value;
    }
  }
  for (const std::string key :
       {"scale_embedding", "tie_word_embeddings", "normalize_before", "dropout", "unk_token_id"})
    EXPECT_NE(refusal(key, "wide").find("config.json: " + key), std::string::npos);
}

TEST(Marian, B03_SizesZeroNegativeHugeOrAtOdds) {
  for (const std::string key : {"d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads",
                                "encoder_ffn_dim", "max_position_embeddings", "vocab_size"})
    for (const std::int64_t value :
         {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 31, std::int64_t{1'000'000'000'000'000'000}})
      EXPECT_NE(refusal(key, value).find("config.json: " + key), std::string::npos) << key << " " << value;
  EXPECT_NE(refusal("d_model", 18).find("width 18 is not a multiple of 4 heads"), std::string::npos);
  EXPECT_NE(refusal("decoder_ffn_dim", 25).find("decoder_ffn_dim: 25, but encoder_ffn_dim is 24"),
            std::string::npos);
  EXPECT_NE(refusal("decoder_attention_heads", 2).find("must agree"), std::string::npos);
  EXPECT_NE(refusal("eos_token_id", 13).find("outside the vocabulary"), std::string::npos);
  EXPECT_NE(refusal("pad_token_id", -1).find("pad_token_id"), std::string::npos);
  EXPECT_NE(refusal("decoder_vocab_size", 14).find("one vocabulary"), std::string::npos);
}

// Each value is allowed by itself; together they would take terabytes, which must not be tried.
TEST(Marian, B03_SizesThatTheWeightsDoNotBackAllocateNothing) {
  const ScratchFolder folder;
  const Transformer model(small_config());
  for (const auto& [key, value] : std::vector<std::pair<std::string, int>>{
           {"d_model", 65536}, {"vocab_size", 3'999'999}, {"encoder_layers", 1000}}) {
    write(folder.path(), model);
    Json config = config_of(small_config());
    config[key] = value;
    config["encoder_ffn_dim"] = config["decoder_ffn_dim"] = 1 << 20;
    config["decoder_vocab_size"] = config["vocab_size"];
    std::ofstream(folder / "config.json") << config;
    EXPECT_NE(loading_fails(folder.path()).find("does config.json belong to these weights?"),
              std::string::npos)
        << key;
  }
}

TEST(Marian, B04_VocabularySizeOtherThanTheEmbedding) {
  const ScratchFolder folder;
  write(folder.path(), Transformer(small_config()));
  for (const int rows : {12, 14}) {
    Json config = config_of(small_config());
    config["vocab_size"] = config["decoder_vocab_size"] = rows;
    std::ofstream(folder / "config.json") << config;
    const auto message = loading_fails(folder.path());
    EXPECT_NE(message.find("model.shared.weight: shape is [13, 16], config.json says [" +
                           std::to_string(rows) + ", 16]"),
              std::string::npos)
        << message;
  }
}

TEST(Marian, B05_UnknownArchitectureOrActivation) {
  EXPECT_NE(refusal("model_type", "bert").find("a model of type 'bert'"), std::string::npos);
  EXPECT_NE(refusal("activation_function", "swiglu").find("unknown activation 'swiglu'"), std::string::npos);
  EXPECT_NE(refusal("normalize_embedding", true).find("not supported"), std::string::npos);
  EXPECT_NE(refusal("decoder_start_token_id", 0).find("start on pad"), std::string::npos);
}

TEST(Marian, B06_NumbersThatAreNoneOrOutOfRange) {
  for (const std::string bad : {"NaN", "Infinity", "-0.1", "1", "1e400", "\"0.1\""}) {
    std::string text = config_json(small_config(), {}, DType::f32);
    const std::string field = "\"attention_dropout\": 0.0";
    const auto at = text.find(field);
    ASSERT_NE(at, std::string::npos) << text;
    text.replace(at, field.size(), "\"attention_dropout\": " + bad);
    const auto message = message_of(Error::Kind::model, [&] {
      read_config(formats::Json::parse(text, {"config.json", Error::Kind::model}));
    });
    EXPECT_NE(message.find("config.json"), std::string::npos) << bad;
  }
}

TEST(Marian, E01_MissingAndUnknownTensorsAreNamed) {
  const std::string norm = "model.decoder.layers.1.final_layer_norm.bias";
  const ScratchFolder folder;
  write_changed(folder / "missing", [&](std::string& name, Tensor&) { return name != norm; });
  EXPECT_NE(loading_fails(folder / "missing").find("missing tensors: " + norm + ";"), std::string::npos);
  write_changed(folder / "renamed", [&](std::string& name, Tensor&) {
    if (name == norm) name = "surplus";
    return true;
  });
  EXPECT_NE(
      loading_fails(folder / "renamed").find("missing tensors: " + norm + "; unknown tensors: surplus;"),
      std::string::npos);
  write_changed(folder / "few", [&](std::string& name, Tensor&) { return name == "model.shared.weight"; });
  EXPECT_NE(loading_fails(folder / "few").find(" more; "), std::string::npos);  // ten names, then a count
  auto deeper = small_config();
  deeper.encoder_layers = 3;
  write_changed(
      folder / "extra", [](std::string&, Tensor&) { return true; }, deeper);
  write_atomically(folder / "extra" / "config.json", config_json(small_config(), {}, DType::f32));
  const auto message = loading_fails(folder / "extra");
  EXPECT_NE(message.find("unknown tensors: model.encoder.layers.2."), std::string::npos);
  EXPECT_EQ(message.find("missing"), std::string::npos);
}

TEST(Marian, E02_ShapesThatAreTransposedOrOtherwiseWrong) {
  const ScratchFolder folder;
  const std::string fc1 = "model.encoder.layers.0.fc1.weight";
  for (const Shape& shape : {Shape{16, 24}, Shape{24 * 16}, Shape{1, 24, 16}, Shape{12, 32}}) {
    write_changed(folder / "model", [&](std::string& name, Tensor& value) {
      if (name == fc1) value = value.reshape(shape);
      return true;
    });
    const auto message = loading_fails(folder / "model");
    EXPECT_NE(message.find(fc1 + ": shape is " + shape.text() + ", config.json says [24, 16]"),
              std::string::npos)
        << message;
  }
}

TEST(Marian, E04_TensorsThatAreNotFiniteAreFound) {
  Transformer model(small_config());
  EXPECT_TRUE(non_finite_tensors(model).empty());
  const auto views = model.parameters().views();
  views[3].value.f32()[views[3].value.elements() - 1] = std::numeric_limits<float>::quiet_NaN();
  views[7].value.f32()[0] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(non_finite_tensors(model), (std::vector<std::string>{views[3].name, views[7].name}));
}

TEST(Marian, E06_ATiedTensorThatIsStoredTwiceMustAgree) {
  const ScratchFolder folder;
  const auto config = small_config();
  const Transformer model(config);
  write(folder.path(), model);
  const auto save = [&](const std::string& copy, float change) {
    auto file = weights_file(model, DType::f32);
    const Tensor value = model.parameters().views().front().value.clone();
    value.f32()[5] += change;
    file.add(copy, value);
    file.save(folder / "model.safetensors");
  };
  for (const std::string copy :
       {"lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"}) {
    save(copy, 0.0f);
    EXPECT_NO_THROW(load_transformer(folder.path()));
    save(copy, 1.0f);
    EXPECT_NE(loading_fails(folder.path()).find(copy + ": differs from model.shared.weight"),
              std::string::npos);
  }
  // The other way: the config says that the output is apart, and the file has none.
  write(folder.path(), model);
  Json apart = config_of(config);
  apart["tie_word_embeddings"] = false;
  std::ofstream(folder / "config.json") << apart;
  EXPECT_NE(loading_fails(folder.path()).find("missing tensors: lm_head.weight"), std::string::npos);
}

}  // namespace
}  // namespace fovea::models
