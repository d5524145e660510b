// fovea quantize: narrower weights in a folder of their own, whole or not at all.
#include <gtest/gtest.h>

#include <cmath>

#include "fovea/formats/safetensors.h"
#include "tests/cli/run.h"
#include "tests/cli/small_encoder.h"
#include "tests/decoding/small_language_model.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

using test::ScratchFolder;
using test::SmallModel;

class Quantize : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return shell_word((folder_ / name).string()); }
  RunResult quantize(const std::string& model, const std::string& to, const std::string& output) const {
    return run_fovea("quantize --model " + shell_word(model) + " --to " + to + " --output " + path(output));
  }
  std::string translated(const std::string& model, const std::string& flags = "") const {
    const auto result =
        run_fovea("translate --model " + model + " " + flags + " 'A dog runs.' 'Two men are here.'");
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  }

  ScratchFolder folder_;
  std::string small_ = SmallModel::folder().string();
};

TEST_F(Quantize, WhatIsStoredTranslatesAsTheTypeAtRunTime) {
  for (const std::string to : {"int8", "bf16"}) {
    const auto result = quantize(small_, to, to);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_CONTAINS(result.out, to + " holds the weights as " + to + ", ");
    EXPECT_EQ(translated(path(to), "--dtype " + to), translated(shell_word(small_), "--dtype " + to));
  }
  EXPECT_EQ(translated(path("int8")), translated(path("int8"), "--dtype int8"));
  EXPECT_CONTAINS(run_fovea("inspect " + path("int8")).out, "F32, I8");
  EXPECT_CONTAINS(run_fovea("inspect " + path("int8")).out,
                  "MarianMTModel cannot hold it: 8-bit integers with scales");
  EXPECT_CONTAINS(run_fovea("inspect " + path("bf16")).out, "MarianMTModel can hold it");
}

TEST_F(Quantize, ServesModelsOfEveryKind) {
  const auto language = test::write_language_model(folder_);
  write_encoder(folder_ / "classifier", models::BertConfig::Head::text);
  for (const std::string to : {"int8", "bf16"}) {
    ASSERT_EQ(quantize(language.string(), to, "language-" + to).code, 0);
    const std::string prompt = " --max-new-tokens 8 --min-new-tokens 8 Once";
    EXPECT_EQ(run_fovea("generate --model " + path("language-" + to) + prompt).out,
              run_fovea("generate --dtype " + to + " --model " + shell_word(language.string()) + prompt).out);
    ASSERT_EQ(quantize((folder_ / "classifier").string(), to, "classifier-" + to).code, 0);
    const std::string text = " --dtype " + to + " 'a fine film'";
    const auto found = run_fovea("classify --model " + path("classifier-" + to) + text).out;
    const auto whole = run_fovea("classify --model " + path("classifier") + text).out;
    EXPECT_EQ(found.substr(0, found.find('\t')), whole.substr(0, whole.find('\t')));
  }
}

TEST_F(Quantize, BadInputChangesNothing) {
  ASSERT_EQ(quantize(small_, "int8", "int8").code, 0);
  expect_failure(quantize(small_, "int8", "int8"), 2, "exists already");
  expect_failure(quantize((folder_ / "int8").string(), "int8", "again"), 2, "holds 8-bit integers already");
  expect_failure(quantize(small_, "int4", "other"), 2, "--to");
  expect_failure(quantize((folder_ / "nothing").string(), "int8", "other"), 4, "nothing");
  expect_failure(run_fovea("translate --dtype f16 --model " + shell_word(small_) + " dog"), 2, "--dtype");
  for (const char* name : {"again", "other"}) EXPECT_FALSE(std::filesystem::exists(folder_ / name));
}

TEST_F(Quantize, A14_ATruncatedFileIsRefusedByName) {
  ASSERT_EQ(quantize(small_, "int8", "cut").code, 0);
  const auto weights = folder_ / "cut/model.safetensors";
  const std::size_t whole = std::filesystem::file_size(weights);
  for (const std::size_t bytes :
       {whole - 1, whole - 100, whole / 2, std::size_t{100}, std::size_t{7}, std::size_t{0}}) {
    std::filesystem::resize_file(weights, bytes);
    for (const std::string command : {"translate --dtype int8", "translate --dtype f32", "inspect"})
      expect_failure(run_fovea(command + (command == "inspect" ? " " : " dog --model ") + path("cut")), 4,
                     "model.safetensors");
  }
}

TEST_F(Quantize, E09_AWrongNumberOfScalesIsRefusedByName) {
  ASSERT_EQ(quantize(small_, "int8", "wrong").code, 0);
  const auto weights = folder_ / "wrong/model.safetensors";
  const std::string name = "model.decoder.layers.0.fc2.weight_scale";
  formats::SafetensorsWriter changed;
  const auto good = formats::SafetensorsFile::open(weights);
  for (const auto& tensor : good.tensors()) {
    if (tensor.name == name)
      changed.add(name, Tensor::full({3}, 0.5f));
    else
      changed.add(tensor.name, good.read_stored(tensor.name));
  }
  changed.save(weights);
  for (const std::string flags : {"", " --dtype int8", " --dtype f32"})
    expect_failure(run_fovea("translate dog --model " + path("wrong") + flags), 4,
                   name + ": has 3 scales for 16 rows");
}

TEST_F(Quantize, E04_WhatIsNotFiniteIsNotQuantised) {
  const auto model = test::small_model();
  model->parameters().views()[4].value.f32()[0] = INFINITY;
  test::write_model(folder_ / "bad", *model);
  for (const std::string to : {"int8", "bf16"})
    expect_failure(quantize((folder_ / "bad").string(), to, "out"), 4,
                   "NaN or infinite weights in " + model->parameters().views()[4].name);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
}

}  // namespace
}  // namespace fovea::cli
