// fovea average: the mean of models, whole or not at all.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "fovea/models/any_model.h"
#include "tests/cli/run.h"
#include "tests/cli/small_encoder.h"
#include "tests/decoding/small_language_model.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

using test::ScratchFolder;

class Average : public testing::Test {
 protected:
  Average() {
    for (int i = 0; i < 3; ++i) test::write_model(folder_ / name(i), *model(i));
  }
  static std::string name(int i) { return "m" + std::to_string(i); }
  static std::unique_ptr<models::Transformer> model(int i) {
    return test::small_model(test::small_config(), static_cast<std::uint64_t>(i) + 1);
  }
  RunResult average(const std::string& arguments) const {
    return run("cd " + shell_word(folder_.path().string()) + " && " + shell_word(FOVEA_BINARY) + " average " +
               arguments);
  }
  /// Expects `output` to be the mean of the models in `members`.
  void expect_mean(const std::string& output, const std::vector<int>& members,
                   float tolerance = 1e-7f) const {
    const auto found = models::load_translation_model(folder_ / output);
    const auto values = found->parameters().values().values();
    std::vector<double> mean(values.size());
    for (const int i : members) {
      const auto member = model(i);
      for (std::size_t k = 0; k < mean.size(); ++k)
        mean[k] += member->parameters().values().f32()[k] / static_cast<double>(members.size());
    }
    for (std::size_t k = 0; k < mean.size(); ++k) ASSERT_NEAR(values[k], mean[k], tolerance) << k;
    EXPECT_EQ(found->output_bias().f32()[0], 4.0f);
  }

  ScratchFolder folder_;
};

TEST_F(Average, IsTheMeanAndAModel) {
  const auto result = average("out m0 m1 m2");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "out holds the average of 3 models\n");
  expect_mean("out", {0, 1, 2});
  EXPECT_EQ(average("same/ m1 m1").code, 0);
  expect_mean("same", {1}, 0.0f);
  for (const char* file :
       {"config.json", "generation_config.json", "source.spm", "vocab.json", "tokenizer_config.json"})
    EXPECT_EQ(read_file((folder_ / "out" / file).string()), read_file((folder_ / "m0" / file).string()))
        << file;
  const auto translated = run_fovea("translate --model " + (folder_ / "out").string() + " baren");
  EXPECT_EQ(translated.code, 0) << translated.err;
  EXPECT_CONTAINS(run_fovea("inspect " + (folder_ / "out").string()).out,
                  "trained       average of 3 models\n");
}

TEST_F(Average, WhatTellsOfTheFirstModelsTrainingIsNotCopied) {
  for (const char* file :
       {"training.json", "log.jsonl", "recipe.toml", "learning_curve.svg", "pytorch_model.bin", ".lock"})
    std::ofstream(folder_ / "m0" / file) << "{}";
  std::ofstream(folder_ / "m0" / "README.md") << "card";
  ASSERT_EQ(average("out m0 m1").code, 0);
  EXPECT_EQ(read_file((folder_ / "out/README.md").string()), "card");
  EXPECT_CONTAINS(read_file((folder_ / "out/training.json").string()), "average of 2 models");
  for (const char* file : {"log.jsonl", "recipe.toml", "learning_curve.svg", "pytorch_model.bin", ".lock"})
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out" / file)) << file;
}

TEST_F(Average, CheckpointsTakeTheRestFromTheirRun) {
  const auto run_folder = folder_ / "run";
  test::write_model(run_folder, *model(2));
  for (int i = 0; i < 2; ++i) {
    const auto checkpoint = run_folder / "checkpoints" / ("checkpoint-00010" + std::to_string(i));
    std::filesystem::create_directories(checkpoint);
    model(i)->weights_file(DType::f32).save(checkpoint / "model.safetensors");
    std::ofstream(checkpoint / "training_state.json") << "{}";
  }
  const auto result = average("out run/checkpoints/checkpoint-*");
  EXPECT_EQ(result.code, 0) << result.err;
  expect_mean("out", {0, 1});
  EXPECT_EQ(run_fovea("translate --model " + (folder_ / "out").string() + " baren").code, 0);
  EXPECT_EQ(average("slash run/checkpoints/checkpoint-000100/ run/checkpoints/checkpoint-000101/").code, 0);
  EXPECT_EQ(average("mixed m0 run/checkpoints/checkpoint-000101").code, 0);
  expect_mean("mixed", {0, 1});
}

TEST_F(Average, Bf16ModelsStayBf16) {
  test::write_model(folder_ / "b0", *model(0), test::small_tokenizer(), DType::bf16);
  test::write_model(folder_ / "b1", *model(1), test::small_tokenizer(), DType::bf16);
  ASSERT_EQ(average("out b0 b1").code, 0);
  expect_mean("out", {0, 1}, 0.02f);
  EXPECT_CONTAINS(run_fovea("inspect " + (folder_ / "out").string()).out, ", BF16, ");
}

// The weights of `output` are those between the two of `members`.
void expect_between(const std::filesystem::path& output, const std::vector<std::filesystem::path>& members) {
  const auto read = [](const std::filesystem::path& folder) { return models::load_any_model(folder); };
  const auto mean = read(output), one = read(members[0]), other = read(members[1]);
  const auto values = mean->parameters().values().values();
  float apart = 0.0f;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float a = one->parameters().values().f32()[i], b = other->parameters().values().f32()[i];
    ASSERT_NEAR(values[i], (a + b) / 2, 1e-6f) << i;
    apart = std::max(apart, std::fabs(a - b));
  }
  EXPECT_GT(apart, 0.01f);
}

TEST_F(Average, ModelsOfEveryKind) {
  const auto language = test::write_language_model(folder_);
  std::filesystem::copy(language, folder_ / "l1");
  test::small_language_model(test::small_language_config(), 4)
      ->weights_file(DType::f32)
      .save(folder_ / "l1/model.safetensors");
  ASSERT_EQ(average("language model l1").code, 0);
  expect_between(folder_ / "language", {language, folder_ / "l1"});
  EXPECT_EQ(run_fovea("generate --max-new-tokens 4 Once --model " + folder_.path("language")).code, 0);

  write_encoder(folder_ / "c0", models::BertConfig::Head::text);
  write_encoder(folder_ / "c1", models::BertConfig::Head::text, {"bad", "fine", "good"}, 4);
  replace_in(folder_ / "c1/config.json", "\"hidden_dropout_prob\": 0.1", "\"hidden_dropout_prob\": 0.3");
  ASSERT_EQ(average("classifier c0 c1").code, 0);
  expect_between(folder_ / "classifier", {folder_ / "c0", folder_ / "c1"});
  EXPECT_EQ(run_fovea("classify 'a fine film' --model " + folder_.path("classifier")).code, 0);
  expect_failure(average("out c0 l1"), 4, "l1: is of another architecture than c0");
}

TEST_F(Average, AnythingWrongLeavesNothing) {
  auto config = test::small_config();
  config.encoder_layers = 3;
  test::write_model(folder_ / "deeper", *test::small_model(config));
  std::filesystem::create_directory(folder_ / "empty");
  const auto before = folder_.names();
  expect_failure(average("out m0 deeper"), 4, "deeper: is of another architecture than m0");
  expect_failure(average("m1 m0 m2"), 2, "m1: exists already");
  expect_failure(average("empty m0 m2"), 2, "empty: exists already");
  expect_failure(average("no/such/folder m0 m2"), 5, "no/such/folder");
  expect_failure(average("out m0 missing"), 4, "missing");
  expect_failure(average("out m0 empty"), 4, "empty");
  expect_failure(average("out"), 2, "models is required");
  std::ofstream(folder_ / "m2" / "model.safetensors") << "short";
  expect_failure(average("out m0 m1 m2"), 4, "m2/model.safetensors");
  EXPECT_EQ(folder_.names(), before);
}

}  // namespace
}  // namespace fovea::cli
