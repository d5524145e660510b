// Adapters as PEFT stores them: what is read, what is refused, and how they go onto the weights of their
// base.
#include "fovea/formats/adapter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fovea/formats/weights.h"
#include "tests/base/scratch.h"

namespace fovea::formats {
namespace {

using test::expect_error;
using test::ScratchFolder;
using Path = std::filesystem::path;

Tensor ramp(Shape shape, float first) {
  Tensor tensor = Tensor::empty(shape);
  for (std::int64_t i = 0; i < tensor.elements(); ++i)
    tensor.f32()[i] = first + 0.25f * static_cast<float>(i % 7);
  return tensor;
}

/// A base of two matrices [4, 3] and a bias in base/, and beside it, in adapter/, what a test says.
class Adapters : public testing::Test {
 protected:
  Adapters() {
    std::filesystem::create_directories(folder_ / "base");
    std::filesystem::create_directories(folder_ / "adapter");
    SafetensorsWriter file;
    file.add("model.q.weight", ramp({4, 3}, 1));
    file.add("model.v.weight", ramp({4, 3}, 2));
    file.add("model.v.bias", ramp({4}, 3));
    file.save(folder_ / "base/model.safetensors");
    folder_.write("base/config.json", R"({"model_type": "of the base"})");
    config();
  }
  void config(const std::string& more = "", const std::string& base = "../base",
              const std::string& rank = "2") const {
    folder_.write("adapter/adapter_config.json", R"({"peft_type": "LORA", "r": )" + rank +
                                                     R"(, "lora_alpha": 6, "base_model_name_or_path": ")" +
                                                     base + "\"" + more + "}");
  }
  using Tensors = std::vector<std::pair<std::string, Tensor>>;
  void weights(const Tensors& tensors, DType dtype = DType::f32) const {
    SafetensorsWriter file;
    for (const auto& [name, tensor] : tensors) file.add("base_model.model." + name, tensor, dtype);
    file.save(folder_ / "adapter/adapter_model.safetensors");
  }
  void usual() const {
    weights({{"model.q.lora_A.weight", ramp({2, 3}, 1)}, {"model.q.lora_B.weight", ramp({4, 2}, -1)}});
  }
  Weights open() const { return Weights::open(folder_ / "adapter"); }
  void expect_refused(const std::vector<std::string>& parts) const {
    const std::string message = test::message_of(Error::Kind::model, [&] { open(); });
    EXPECT_EQ(message.find('\n'), std::string::npos);
    for (const auto& part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << message << " / " << part;
  }

  ScratchFolder folder_;
};

/// W + scale B A, summed in double.
double sum_at(const Tensor& W, const Tensor& A, const Tensor& B, double scale, std::int64_t o,
              std::int64_t i) {
  double sum = W.f32()[o * W.dim(1) + i];
  for (std::int64_t r = 0; r < A.dim(0); ++r)
    sum += scale * B.f32()[o * A.dim(0) + r] * A.f32()[r * A.dim(1) + i];
  return sum;
}

void expect_sum(const Tensor& found, const Tensor& W, const Tensor& A, const Tensor& B, double scale) {
  for (std::int64_t o = 0; o < W.dim(0); ++o)
    for (std::int64_t i = 0; i < W.dim(1); ++i)
      EXPECT_NEAR(found.f32()[o * W.dim(1) + i], sum_at(W, A, B, scale, o, i), 1e-5);
}

TEST_F(Adapters, AddTheirProductToTheMatrixAndLeaveTheRest) {
  usual();
  const auto found = open();
  ASSERT_TRUE(found.adapter());
  EXPECT_EQ(found.names(), (std::vector<std::string>{"model.q.weight", "model.v.bias", "model.v.weight"}));
  expect_sum(found.read("model.q.weight"), ramp({4, 3}, 1), ramp({2, 3}, 1), ramp({4, 2}, -1), 3.0);
  expect_sum(found.read_stored("model.q.weight"), ramp({4, 3}, 1), ramp({2, 3}, 1), ramp({4, 2}, -1), 3.0);
  EXPECT_TRUE(std::ranges::equal(found.read("model.v.weight").values(), ramp({4, 3}, 2).values()));
  EXPECT_EQ(Weights::open(folder_ / "base").adapter(), nullptr);
}

TEST_F(Adapters, OfMatricesStoredWithTheInputsFirstAreTurned) {
  config(R"(, "fan_in_fan_out": true)");
  const Tensor A = ramp({2, 4}, 1), B = ramp({3, 2}, -1), W = ramp({4, 3}, 1);
  weights({{"model.q.lora_A.weight", A}, {"model.q.lora_B.weight", B}});
  const Tensor found = open().read("model.q.weight");
  for (std::int64_t i = 0; i < 4; ++i)
    for (std::int64_t o = 0; o < 3; ++o) {
      double sum = W.f32()[i * 3 + o];
      for (std::int64_t r = 0; r < 2; ++r) sum += 3.0 * B.f32()[o * 2 + r] * A.f32()[r * 4 + i];
      EXPECT_NEAR(found.f32()[i * 3 + o], sum, 1e-5);
    }
}

TEST_F(Adapters, EverySpellingOfPeftIsRead) {
  weights({{"model.q.lora_A.default.weight", ramp({2, 3}, 1)},
           {"model.q.lora_B.default.weight", ramp({4, 2}, -1)},
           {"head.modules_to_save.default.weight", ramp({2, 4}, 5)},
           {"head.modules_to_save.bias", ramp({2}, 4)},
           {"head.original_module.weight", ramp({2, 4}, 6)},
           {"model.v.base_layer.bias", ramp({4}, 9)},
           {"plain.weight", ramp({1, 4}, 7)}});
  const auto found = open();
  expect_sum(found.read("model.q.weight"), ramp({4, 3}, 1), ramp({2, 3}, 1), ramp({4, 2}, -1), 3.0);
  EXPECT_EQ(found.read("head.weight").f32()[0], 5.0f);
  EXPECT_EQ(found.read("head.bias").f32()[0], 4.0f);
  EXPECT_EQ(found.read("plain.weight").f32()[0], 7.0f);
  EXPECT_EQ(found.read("model.v.bias").f32()[0], 9.0f);
  EXPECT_FALSE(found.is_of_base("head.weight"));
  EXPECT_TRUE(found.is_of_base("model.q.weight"));
  EXPECT_EQ(found.names().size(), 6u);
}

TEST_F(Adapters, ScalesFollowTheirPatterns) {
  const auto scale = [&](const std::string& more, std::string_view module) {
    config(more);
    return read_adapter_config(read_json(folder_ / "adapter/adapter_config.json", Error::Kind::model))
        .scale_of(module);
  };
  EXPECT_DOUBLE_EQ(scale("", "model.q"), 3.0);
  EXPECT_DOUBLE_EQ(scale(R"(, "use_rslora": true)", "model.q"), 6.0 / std::sqrt(2.0));
  const std::string patterns = R"(, "rank_pattern": {"model.q": 4}, "alpha_pattern": {"q": 8.0, "v": 1})";
  EXPECT_DOUBLE_EQ(scale(patterns, "model.q"), 2.0);
  EXPECT_DOUBLE_EQ(scale(patterns, "model.v"), 0.5);
  EXPECT_DOUBLE_EQ(scale(patterns, "model.iq"), 3.0);
}

TEST_F(Adapters, APrefixThatTheBaseLeavesOutOrHasIsFound) {
  weights({{"x.model.q.lora_A.weight", ramp({2, 3}, 1)},
           {"x.model.q.lora_B.weight", ramp({4, 2}, -1)},
           {"v.lora_A.weight", ramp({2, 3}, 1)},
           {"v.lora_B.weight", ramp({4, 2}, -1)}});
  const auto found = open();
  for (const auto& [name, first] : {std::pair("model.q.weight", 1.0f), {"model.v.weight", 2.0f}})
    expect_sum(found.read(name), ramp({4, 3}, first), ramp({2, 3}, 1), ramp({4, 2}, -1), 3.0);
}

TEST_F(Adapters, HalfPrecisionBasesAreMergedAsF32) {
  SafetensorsWriter file;
  file.add("model.q.weight", ramp({4, 3}, 1), DType::bf16);
  file.save(folder_ / "base/model.safetensors");
  usual();
  const Tensor found = open().read_stored("model.q.weight");
  EXPECT_EQ(found.dtype(), DType::f32);
  expect_sum(found, ramp({4, 3}, 1), ramp({2, 3}, 1), ramp({4, 2}, -1), 3.0);
}

TEST_F(Adapters, PapersAreTheirOwnOrThoseOfTheBase) {
  usual();
  EXPECT_EQ(read_config_of(folder_ / "adapter").at("model_type").text(), "of the base");
  folder_.write("adapter/config.json", R"({"model_type": "its own"})");
  EXPECT_EQ(read_config_of(folder_ / "adapter").at("model_type").text(), "its own");
  folder_.write("base/tokenizer.json", "{}");
  EXPECT_TRUE(std::filesystem::equivalent(tokenizer_papers_of(folder_ / "adapter"), folder_ / "base"));
  folder_.write("adapter/vocab.txt", "a");
  EXPECT_EQ(tokenizer_papers_of(folder_ / "adapter"), folder_ / "adapter");
  EXPECT_EQ(papers_of(folder_ / "base", {"nowhere.json"}), folder_ / "base");
}

TEST_F(Adapters, OtherKindsAreRefusedByName) {
  usual();
  for (const auto& [more, key] : {std::pair(R"(, "use_dora": true)", "use_dora"),
                                  {R"(, "lora_bias": true)", "lora_bias"},
                                  {R"(, "layer_replication": [[0, 2]])", "layer_replication"},
                                  {R"(, "init_lora_weights": "pissa_niter_4")", "init_lora_weights"},
                                  {R"(, "rank_pattern": {"^q$": 4})", "regular expression"},
                                  {R"(, "rank_pattern": {"q": 2.5})", "rank_pattern"},
                                  {R"(, "rank_pattern": {"q": 1e300})", "rank_pattern"}}) {
    config(more);
    expect_refused({"adapter_config.json", key});
  }
  folder_.write("adapter/adapter_config.json",
                R"({"peft_type": "IA3", "base_model_name_or_path": "../base"})");
  expect_refused({"peft_type", "'IA3'"});
  folder_.write("adapter/adapter_config.json", R"({"peft_type": "LORA"})");
  expect_refused({"adapter_config.json", "base_model_name_or_path"});
}

TEST_F(Adapters, TensorsOfOtherKindsAreRefusedByName) {
  for (const char* name : {"model.q.lora_magnitude_vector.weight", "model.q.lora_B.bias",
                           "model.q.lora_embedding_A", "model.token_adapter.trainable_tokens_delta"}) {
    weights({{name, ramp({2, 3}, 1)}});
    expect_refused({"adapter_model.safetensors: base_model.model.", name});
  }
  SafetensorsWriter file;
  file.add("model.q.weight", ramp({4, 3}, 1));
  file.save(folder_ / "adapter/adapter_model.safetensors");
  expect_refused({"model.q.weight", "is no tensor of a LoRA adapter"});
}

TEST_F(Adapters, ABaseThatIsNotThereIsNamedWithItsKey) {
  usual();
  config("", "org/model-of-the-hub");
  expect_refused({"adapter_config.json: base_model_name_or_path", "org/model-of-the-hub", "is no folder"});
  config("", "../adapter");
  expect_refused({"base_model_name_or_path", "is an adapter itself"});
  std::filesystem::remove(folder_ / "base/model.safetensors");
  config();
  expect_refused({"base", "has no model.safetensors"});
}

TEST_F(Adapters, WeightsThatAreMissingCutOrPickledAreNamed) {
  expect_refused({"adapter", "has no adapter_model.safetensors"});
  folder_.write("adapter/adapter_model.bin", "PK");
  expect_refused({"adapter_model.bin is pickled"});
  usual();
  const Path file = folder_ / "adapter/adapter_model.safetensors";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 4);
  expect_refused({"adapter_model.safetensors"});
  weights({{"model.q.lora_A.weight", ramp({2, 3}, 1)}});
  expect_refused({"model.q", "has no lora_B"});
}

TEST_F(Adapters, ShapesOfAnotherBaseAreNamed) {
  const auto expect = [&](Shape A, Shape B, const std::vector<std::string>& parts) {
    weights({{"model.q.lora_A.weight", ramp(A, 1)}, {"model.q.lora_B.weight", ramp(B, 1)}});
    const auto found = open();
    const std::string message = test::message_of(Error::Kind::model, [&] { found.read("model.q.weight"); });
    for (const auto& part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect({2, 5}, {4, 2}, {"lora_A.weight", "[2, 5]", "[2, 3]"});
  expect({2, 3}, {5, 2}, {"lora_B.weight", "[5, 2]", "[4, 2]"});
  expect({3, 3}, {4, 3}, {"lora_A.weight", "[3, 3]", "[2, 3]"});
  weights({{"model.k.lora_A.weight", ramp({2, 3}, 1)}, {"model.k.lora_B.weight", ramp({4, 2}, 1)}});
  expect_refused({"adapts model.k, which the base has not"});
  weights({{"model.v.lora_A.weight", ramp({2, 3}, 1)}, {"model.v.lora_B.weight", ramp({4, 2}, 1)}});
  SafetensorsWriter integers;
  integers.add("model.v.weight", Tensor::zeros({4, 3}, DType::i8));
  integers.save(folder_ / "base/model.safetensors");
  expect_refused({"model.v.weight", "8-bit integers"});
}

}  // namespace
}  // namespace fovea::formats
