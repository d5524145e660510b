// Weights packed beforehand and mapped: the same bytes as those packed as they are read, for as long as they
// belong to the weights beside them.
#include "fovea/models/packed_weights.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <map>

#include "fovea/base/file.h"
#include "fovea/base/mapped_file.h"
#include "fovea/models/any_model.h"
#include "fovea/models/lora.h"
#include "tests/base/scratch.h"
#include "tests/models/family_variants.h"
#include "tests/models/language_variants.h"
#include "tests/models/recurrent_variants.h"
#include "tests/models/small_config.h"
#include "tests/models/with_threads.h"

namespace fovea::models {
namespace {

using fovea::test::expect_error;
using fovea::test::ScratchFolder;

constexpr std::array<DType, 3> all_types{DType::f32, DType::bf16, DType::i8};

void write(const std::filesystem::path& folder, const Model& model, const std::string& config) {
  std::filesystem::create_directories(folder);
  write_atomically(folder / "config.json", config);
  model.weights_file(DType::f32).save(folder / "model.safetensors");
}

BertConfig small_bert(BertConfig::Head head) {
  BertConfig config;
  config.head = head;
  config.pooler = head == BertConfig::Head::text;
  config.vocabulary = 40;
  config.max_positions = 16;
  config.width = 16;
  config.layers = 2;
  config.heads = 2;
  config.feed_forward = 24;
  if (head == BertConfig::Head::text) config.classes.names = {"bad", "good"};
  return config;
}

class PackedWeights : public testing::Test, protected WithThreads {
 protected:
  Packing packing(DType dtype) const { return {owner_.get(), dtype}; }
  formats::Weights weights() const { return formats::Weights::open(model_); }
  std::unique_ptr<Model> load(DType dtype) const {
    return load_any_model_for_inference(model_, owner_.get(), dtype);
  }
  std::filesystem::path pack(DType dtype) const { return save_packed(weights(), owner_.get(), *load(dtype)); }
  PackedState state(DType dtype) const { return packed_state(weights(), packing(dtype)); }
  void write_translation_model() const {
    const auto config = small_config();
    write(model_, Transformer(config, 5), config_json(TranslationConfig(config), {}, DType::f32));
  }
  // The file again, as `change` makes each tensor.
  void rewrite(const std::filesystem::path& path,
               const std::function<Tensor(const std::string& name, Tensor)>& change) const {
    const auto file = formats::SafetensorsFile::open(path);
    formats::SafetensorsWriter changed(file.metadata(), 64);
    for (const auto& info : file.tensors())
      changed.add(info.name, change(info.name, file.read_stored(info.name)));
    changed.save(path);
  }

  ScratchFolder folder_;
  std::filesystem::path model_ = folder_ / "model";
};

bool is_mapped(const Model& model) {
  return std::ranges::all_of(model.parameters().all(), [](const nn::Parameter& parameter) {
    return (parameter.packed.bytes() == 0 || mapped_file_at(parameter.packed.memory())) &&
           (!parameter.value.defined() || mapped_file_at(parameter.value.raw()));
  });
}

void expect_same_bytes(const Model& mapped, const Model& packed, const std::string& what) {
  const auto& others = packed.parameters().all();
  ASSERT_EQ(mapped.parameters().all().size(), others.size()) << what;
  auto other = others.begin();
  for (const auto& parameter : mapped.parameters().all()) {
    ASSERT_EQ(parameter.packed.bytes(), other->packed.bytes()) << what;
    EXPECT_EQ(std::memcmp(parameter.packed.memory(), other->packed.memory(), other->packed.bytes()), 0)
        << what;
    ASSERT_EQ(parameter.value.defined(), other->value.defined()) << what;
    if (parameter.value.defined()) {
      EXPECT_EQ(parameter.value.shape(), other->value.shape()) << what;
      EXPECT_TRUE(std::ranges::equal(parameter.value.values(), other->value.values())) << what;
    }
    ++other;
  }
}

TEST_F(PackedWeights, AreThoseOfEveryFamilyByteForByte) {
  std::map<std::string, std::function<void()>> families;
  for (const auto& [name, config] : family_variants())
    families[name] = [&, config = config] {
      write(model_, Transformer(config, 5), config_json(TranslationConfig(config), {}, DType::f32));
    };
  for (const auto& [name, config] : language_variants())
    families["language: " + name] = [&, config = config] {
      write(model_, *make_language_model(config, 5), config_json(config, DType::f32));
    };
  families["recurrent"] = [&] {
    const auto config = small_recurrent_config();
    write(model_, *make_translation_model(config), config_json(TranslationConfig(config), {}, DType::f32));
  };
  for (const auto head : {BertConfig::Head::text, BertConfig::Head::masked})
    families["bert " + std::to_string(static_cast<int>(head))] = [&, head] {
      const auto config = small_bert(head);
      write(model_, Bert(config, 5), config_json(config, DType::f32));
    };
  for (const auto& [name, make] : families) {
    make();
    for (const DType dtype : all_types) {
      const std::string what = name + " as " + std::string(name_of(dtype));
      const auto packed = load(dtype);
      EXPECT_EQ(state(dtype), PackedState::none) << what;
      const auto path = pack(dtype);
      EXPECT_EQ(path, model_ / packed_name(dtype));
      EXPECT_EQ(state(dtype), PackedState::current) << what;
      const auto mapped = load(dtype);
      EXPECT_FALSE(is_mapped(*packed)) << what;
      EXPECT_TRUE(is_mapped(*mapped)) << what;
      expect_same_bytes(*mapped, *packed, what);
    }
    std::filesystem::remove_all(model_);
  }
}

TEST_F(PackedWeights, MayBeMadeOfWhatWasMapped) {
  write_translation_model();
  const auto bytes = [&] { return read_file(pack(DType::i8), 1 << 24, Error::Kind::model); };
  const auto first = bytes();
  EXPECT_EQ(bytes(), first);
}

TEST_F(PackedWeights, OtherWeightsAreNoticed) {
  write_translation_model();
  pack(DType::i8);
  rewrite(model_ / "model.safetensors", [](const std::string& name, Tensor tensor) {
    if (name == "model.decoder.layers.0.fc2.weight") tensor.f32()[3] += 1.0f;
    return tensor;
  });
  EXPECT_EQ(state(DType::i8), PackedState::outdated);
  EXPECT_FALSE(is_mapped(*load(DType::i8)));
  pack(DType::i8);
  EXPECT_EQ(state(DType::i8), PackedState::current);
}

TEST_F(PackedWeights, ACopyOfTheFolderIsCurrent) {
  write_translation_model();
  pack(DType::bf16);
  std::filesystem::last_write_time(model_ / "model.safetensors",
                                   std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_EQ(state(DType::bf16), PackedState::current);
}

TEST_F(PackedWeights, FloatsServeTheKernelsThatPackedThem) {
  write_translation_model();
  for (const DType dtype : all_types) pack(dtype);
  const kernels::ExecutionOwner other(1, kernels::KernelSet::reference);
  for (const DType dtype : all_types) {
    const auto expected = dtype == DType::f32 ? PackedState::outdated : PackedState::current;
    EXPECT_EQ(packed_state(weights(), {other.get(), dtype}), expected) << name_of(dtype);
  }
}

// The folder of a classifier serves for embedding texts, too; that of a masked language model has no pooler.
TEST_F(PackedWeights, AnotherHeadIsReadAsItWas) {
  const auto config = small_bert(BertConfig::Head::masked);
  write(model_, Bert(config, 5), config_json(config, DType::f32));
  pack(DType::i8);
  EXPECT_TRUE(is_mapped(*load(DType::i8)));
  EXPECT_TRUE(is_mapped(*load_bert(model_, owner_.get(), BertConfig::Head::none, DType::i8)));
  EXPECT_FALSE(is_mapped(*load(DType::bf16)));
}

TEST_F(PackedWeights, A14_TruncatedFilesAreRefusedByName) {
  write_translation_model();
  const auto path = pack(DType::i8);
  const auto whole = std::filesystem::file_size(path);
  for (const auto bytes : {whole - 1, whole / 2, std::uintmax_t{100}, std::uintmax_t{3}, std::uintmax_t{0}}) {
    std::filesystem::resize_file(path, bytes);
    expect_error(
        Error::Kind::model, [&] { load(DType::i8); }, "packed-int8.safetensors");
  }
}

TEST_F(PackedWeights, E09_SizesAndScalesThatAreWrongAreRefusedByName) {
  write_translation_model();
  const auto path = pack(DType::i8);
  const auto good = read_file(path, 1 << 24, Error::Kind::model);
  const std::string name = "model.decoder.layers.0.fc2.weight.packed";
  const auto changed = [&](const std::function<Tensor(Tensor)>& change) {
    write_atomically(path, good);
    rewrite(path, [&](const std::string& tensor, Tensor bytes) {
      return tensor == name ? change(std::move(bytes)) : bytes;
    });
  };
  changed([](const Tensor& bytes) { return bytes.slice(0, {bytes.elements() - 64}); });
  expect_error(
      Error::Kind::model, [&] { load(DType::i8); }, name, "is i8 [", "fovea pack");
  changed([](Tensor bytes) {  // scales are its end: of 16 rows, up to 64
    auto* scales = reinterpret_cast<float*>(bytes.raw() + bytes.bytes() - 64 * sizeof(float));
    scales[7] = std::nanf("");
    return bytes;
  });
  expect_error(
      Error::Kind::model, [&] { load(DType::i8); }, name, "the scale of row 7");
}

TEST_F(PackedWeights, E04_WhatIsNotFiniteIsNotPacked) {
  const auto config = small_config();
  Transformer model(config, 5);
  model.parameters().views()[4].value.f32()[0] = INFINITY;
  write(model_, model, config_json(TranslationConfig(config), {}, DType::f32));
  for (const DType dtype : all_types)
    expect_error(
        Error::Kind::model, [&] { pack(dtype); }, "NaN or infinite weights in ");
  EXPECT_FALSE(std::filesystem::exists(model_ / packed_name(DType::i8)));
}

TEST_F(PackedWeights, AreOfTheModelAndItsAdapter) {
  const LanguageConfig config = small_llama();
  const auto base = make_language_model(config, 5);
  write(folder_ / "base", *base, config_json(config, DType::f32));
  base->set_lora(std::make_shared<Lora>(*base, "llama", LoraOptions{.rank = 2, .targets = {"all-linear"}},
                                        std::vector<std::string>{}, 5, "recipe: lora.targets"));
  for (auto& parameter : base->learned().all())
    for (float& w : parameter.value.values()) w += 0.25f;
  std::filesystem::create_directories(model_);
  write_atomically(model_ / "adapter_config.json", base->lora()->config_json("../base", "CAUSAL_LM"));
  const auto save = [&] { base->learned_file(DType::f32).save(model_ / "adapter_model.safetensors"); };
  save();
  const auto packed = load(DType::i8);
  pack(DType::i8);
  const auto mapped = load(DType::i8);
  EXPECT_TRUE(is_mapped(*mapped));
  expect_same_bytes(*mapped, *packed, "adapted");
  const auto settings = read_file(model_ / "adapter_config.json", 1 << 16, Error::Kind::model);
  auto other = settings;
  const auto alpha = other.find("\"lora_alpha\"");
  ASSERT_NE(alpha, std::string::npos);
  other.insert(other.find_first_of("0123456789", alpha), "1");
  write_atomically(model_ / "adapter_config.json", other);
  EXPECT_EQ(state(DType::i8), PackedState::outdated);
  write_atomically(model_ / "adapter_config.json", settings);
  EXPECT_EQ(state(DType::i8), PackedState::current);
  base->learned().all().front().value.f32()[0] += 1.0f;
  save();
  EXPECT_EQ(state(DType::i8), PackedState::outdated);
}

}  // namespace
}  // namespace fovea::models
