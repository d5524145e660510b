// fovea export, and adapters as --model of every command: from a run with [lora] to a plain model directory.
#include <gtest/gtest.h>

#include "fovea/formats/adapter.h"
#include "fovea/formats/safetensors.h"
#include "tests/cli/run.h"
#include "tests/cli/small_encoder.h"
#include "tests/decoding/small_language_model.h"

namespace fovea::cli {
namespace {

using test::ScratchFolder;

/// A small language model, and an adapter beside it that a run of a few updates has left.
class Export : public testing::Test {
 protected:
  Export() {
    test::write_language_model(folder_);
    std::string text;
    for (int i = 0; i < 40; ++i) text += "the cat sees a dog and nobody likes it ";
    folder_.write("text.txt", text);
    folder_.write("small.toml",
                  "task = \"language_model\"\nname = \"small\"\ninit = \"" + folder_.path("model") +
                      "\"\n[data]\ntrain = \"text.txt\"\nvalid_share = 0.2\n[lora]\nrank = 4\n"
                      "targets = \"all-linear\"\n[training]\nupdates = 6\nbatch_tokens = 64\n"
                      "rate = 0.05\nwarmup = 1\nvalidate_every = 3\nsave_every = 3\ncontext = 32\n");
  }
  std::string path(const std::string& name) const { return shell_word(folder_.path(name)); }
  RunResult train(const std::string& flags = "") const {
    return run_fovea("train " + path("small.toml") + " --data " + path("") + " --output " + path("adapter") +
                     " --threads 1 " + flags);
  }
  RunResult merge(const std::string& model = "adapter") const {
    return run_fovea("export --model " + path(model) + " --merge --output " + path("merged"));
  }
  std::string generated(const std::string& model) const {
    const auto result =
        run_fovea("generate --model " + path(model) + " --max-new-tokens 12 --beam 1 'the cat'");
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  }

  ScratchFolder folder_;
};

TEST_F(Export, AnAdapterIsAModelToEveryCommandAndMergesIntoOne) {
  const auto dry = train("--dry-run");
  EXPECT_EQ(dry.code, 0) << dry.err;
  EXPECT_CONTAINS(dry.out, " of adapters to ");
  ASSERT_EQ(train().code, 0);
  const auto result = merge();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_CONTAINS(result.out, "merged holds the adapter merged into its base");
  EXPECT_EQ(generated("adapter"), generated("merged"));
  EXPECT_NE(generated("adapter"), generated("model"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "merged/adapter_config.json"));
  for (const char* file : {"config.json", "tokenizer.json", "generation_config.json"})
    EXPECT_TRUE(std::filesystem::exists(folder_ / "merged" / file)) << file;
  const auto perplexity = [&](const std::string& model) {
    return run_fovea("evaluate --model " + path(model) + " --text " + path("text.txt")).out;
  };
  EXPECT_EQ(perplexity("adapter"), perplexity("merged"));
  const auto inspected = run_fovea("inspect " + path("adapter")).out;
  EXPECT_CONTAINS(inspected, "adapter       LoRA of rank 4 on 14 modules, ");
  EXPECT_CONTAINS(inspected, "faults        none");
  const auto before = formats::SafetensorsFile::open(folder_ / "model/model.safetensors");
  const auto after = formats::SafetensorsFile::open(folder_ / "merged/model.safetensors");
  EXPECT_EQ(before.tensors().size(), after.tensors().size());
}

TEST_F(Export, AnAdapterQuantisedIsAPlainModel) {
  ASSERT_EQ(train().code, 0);
  for (const std::string type : {"bf16", "int8"}) {
    ASSERT_EQ(
        run_fovea("quantize --to " + type + " --model " + path("adapter") + " --output " + path(type)).code,
        0);
    EXPECT_FALSE(std::filesystem::exists(folder_ / type / "adapter_config.json"));
    EXPECT_TRUE(std::filesystem::exists(folder_ / type / "config.json"));
    EXPECT_NE(generated(type), "");
  }
}

TEST_F(Export, AnAdapterWithoutPapersTakesThoseOfItsBase) {
  ASSERT_EQ(train().code, 0);
  const std::string whole = generated("adapter");
  std::filesystem::create_directories(folder_ / "bare");
  for (const auto name : {formats::adapter_config_name, formats::adapter_weights_name})
    std::filesystem::copy_file(folder_ / "adapter" / name, folder_ / "bare" / name);
  std::filesystem::rename(folder_ / "model", folder_ / "elsewhere");
  replace_in(folder_ / "bare/adapter_config.json", folder_.path("model"), "../elsewhere");
  EXPECT_EQ(generated("bare"), whole);
  EXPECT_EQ(merge("bare").code, 0);
  EXPECT_EQ(generated("merged"), whole);
}

TEST_F(Export, AModelOfARunIsLeftWithoutWhatTrainingNeeded) {
  std::filesystem::copy(folder_ / "model", folder_ / "run", std::filesystem::copy_options::recursive);
  folder_.write("run/recipe.toml", "");
  folder_.write("run/training.json", "{}");
  const auto result = run_fovea("export --model " + path("run") + " --output " + path("plain"));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(read_file(folder_.path("plain/model.safetensors")),
            read_file(folder_.path("model/model.safetensors")));
  EXPECT_EQ(generated("plain"), generated("model"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "plain/recipe.toml"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "plain/training.json"));
}

TEST_F(Export, WhatCannotBeIsSaidInOneLine) {
  ASSERT_EQ(train().code, 0);
  const auto exported = [&](const std::string& flags) {
    return run_fovea("export --output " + path("x") + " --model " + flags);
  };
  expect_failure(exported(path("adapter")), 2, "is an adapter, and not a model of its own; use --merge");
  expect_failure(exported(path("model") + " --merge"), 2, "is no adapter");
  expect_failure(exported(path("nowhere")), 4, "there is no such folder");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x"));
  std::filesystem::rename(folder_ / "model", folder_ / "elsewhere");
  for (const std::string& command : {"export --merge --output " + path("x"), std::string("generate hello")})
    expect_failure(run_fovea(command + " --model " + path("adapter")), 4,
                   "adapter_config.json: base_model_name_or_path");
  std::filesystem::rename(folder_ / "elsewhere", folder_ / "model");
  std::filesystem::resize_file(folder_ / "adapter/adapter_model.safetensors", 2000);
  expect_failure(run_fovea("generate hello --model " + path("adapter")), 4, "adapter_model.safetensors");
}

TEST_F(Export, RecipesThatAdaptNothingAreRefused) {
  expect_failure(train("--set lora.rank=0"), 2, "lora.rank is the integer 0 but must be an integer from 1");
  expect_failure(train("--set lora.targets=q_prj"), 2, "did you mean q_proj?");
  expect_failure(train("--set 'init='"), 2, "[lora] adapts a model, and init names none");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "adapter"));
}

}  // namespace
}  // namespace fovea::cli
