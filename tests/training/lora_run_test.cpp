// Runs in which adapters learn beside a model that stays as it is: what they leave, cut and resumed, and what
// is refused.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "fovea/formats/adapter.h"
#include "fovea/metrics/perplexity.h"
#include "fovea/models/classifier_folder.h"
#include "fovea/models/language_folder.h"
#include "fovea/models/translation_folder.h"
#include "fovea/text/load_tokenizer.h"
#include "tests/training/tiny_run.h"

namespace fovea::training {
namespace {

using test::Path;

RunResult run(const Recipe& recipe, const Path& data, const Path& output, bool resume = false,
              std::int64_t stop_after = 0, std::vector<std::string>* notes = nullptr) {
  std::atomic<bool> stop{false};
  Reporter reporter;
  reporter.note = [&](const std::string& note) {
    if (notes) notes->push_back(note);
  };
  reporter.updated = [&](const LogEntry& entry) { stop = entry.update == stop_after; };
  return run_training(
      recipe, {.data = data, .output = output, .resume = resume, .allow_changed_data = false, .threads = 1},
      stop, reporter);
}

/// Sentences of drawn words, in one order or the other.
std::string sentences(bool verb_first) {
  static constexpr const char* subjects[] = {"the cat", "a dog", "my sister", "nobody"};
  static constexpr const char* verbs[] = {"sees", "likes", "forgets"};
  const auto key = RandomKey::of(verb_first, 0, site::shuffle);
  std::string text;
  for (std::uint64_t i = 0; i < 60; ++i) {
    const std::string verb = verbs[below(key, 2 * i, 3)], subject = subjects[below(key, 2 * i + 1, 4)];
    text += verb_first ? verb + "! " + subject + ".\n" : subject + " " + verb + "!\n.";
  }
  return text;
}

/// A language model trained for a moment on one text, and a recipe to adapt it to another of the same
/// letters.
class LoraRun : public testing::Test {
 protected:
  LoraRun() {
    test::write(folder_ / "first.txt", sentences(false));
    test::write(folder_ / "second.txt", sentences(true));
    recipe_ = parse_recipe(
        "task = \"language_model\"\nname = \"tiny\"\n[data]\ntrain = \"first.txt\"\nvalid_share = 0.1\n"
        "[model]\npreset = \"custom\"\nlayers = 2\nwidth = 16\nfeed_forward = 32\nheads = 2\n",
        "tiny.toml",
        {"model.max_positions=24", "training.updates=40", "training.batch_tokens=96", "training.rate=0.01",
         "training.warmup=4", "training.validate_every=5", "training.save_every=4", "training.log_every=3",
         "training.average_last=2", "training.average_decay=0.9"});
    run(recipe_, folder_.path(), folder_ / "base");
    recipe_.init = folder_ / "base";
    recipe_.text.train = {"second.txt"};
    recipe_.lora.rank = 4;
    recipe_.lora.dropout = 0.1;
  }

  test::ScratchFolder folder_{test::memory_folder()};
  Recipe recipe_;
};

double loss_of(const Path& model, const std::string& text) {
  const auto loaded = models::load_language_model(model);
  std::vector<std::int32_t> ids{0};  // where texts begin
  for (const auto id : text::load_tokenizer(model)->encode(text).ids) ids.push_back(id);
  const kernels::ExecutionOwner exec(1);
  return metrics::perplexity(*loaded, std::vector<std::vector<std::int32_t>>{ids},
                             {.window = 24, .stride = 24}, exec.get())
      .per_token();
}

TEST_F(LoraRun, LearnsBesideTheBaseAndLeavesAnAdapter) {
  std::vector<std::string> notes;
  recipe_.training.updates = 80;
  recipe_.training.rate = 0.03;
  recipe_.lora.targets = {"all-linear"};
  const auto before = test::read(folder_ / "base/model.safetensors");
  const auto result = run(recipe_, folder_.path(), folder_ / "adapter", false, 0, &notes);
  EXPECT_EQ(test::read(folder_ / "base/model.safetensors"), before);
  EXPECT_NE(notes.front().find(" parameters of adapters to "), std::string::npos) << notes.front();
  ASSERT_TRUE(result.final.score);
  const Path adapter = folder_ / "adapter";
  for (const char* name :
       {"adapter_config.json", "adapter_model.safetensors", "config.json", "tokenizer.json", "training.json"})
    EXPECT_TRUE(std::filesystem::exists(adapter / name)) << name;
  EXPECT_FALSE(std::filesystem::exists(adapter / "model.safetensors"));
  const auto config = nlohmann::json::parse(test::read(adapter / "adapter_config.json"));
  EXPECT_EQ(config["task_type"], "CAUSAL_LM");
  EXPECT_EQ(config["base_model_name_or_path"], (folder_ / "base").string());
  const auto file = formats::SafetensorsFile::open(adapter / "adapter_model.safetensors");
  EXPECT_EQ(file.info("base_model.model.transformer.h.1.attn.c_attn.lora_A.weight").shape,
            (std::vector<std::int64_t>{4, 16}));
  EXPECT_EQ(file.info("base_model.model.transformer.h.1.attn.c_attn.lora_B.weight").shape,
            (std::vector<std::int64_t>{48, 4}));
  EXPECT_EQ(file.tensors().size(), 16u);
  const std::string second = sentences(true);
  EXPECT_LT(loss_of(adapter, second), loss_of(folder_ / "base", second) - 0.2);
}

TEST_F(LoraRun, G01_CutAndResumedItIsTheSameRunBitForBit) {
  run(recipe_, folder_.path(), folder_ / "whole");
  EXPECT_EQ(run(recipe_, folder_.path(), folder_ / "cut", false, 6).ending, Ending::stopped);
  EXPECT_EQ(run(recipe_, folder_.path(), folder_ / "cut", true, 17).ending, Ending::stopped);
  run(recipe_, folder_.path(), folder_ / "cut", true);
  test::expect_same_run(folder_ / "whole", folder_ / "cut", "adapter_model.safetensors");
}

TEST_F(LoraRun, WhatCannotBeAdaptedIsRefused) {
  const auto expect = [&](const char* part) {
    fovea::test::expect_error(
        Error::Kind::usage, [&] { run(recipe_, folder_.path(), folder_ / "x"); }, part);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "x"));
  };
  recipe_.lora.targets = {"c_atn"};
  expect("did you mean c_attn?");
  recipe_.lora.targets = {};
  run(recipe_, folder_.path(), folder_ / "adapter");
  recipe_.init = folder_ / "adapter";
  expect("is an adapter itself");
}

TEST_F(LoraRun, AWholeTrainingMayBeginFromAnAdapter) {
  run(recipe_, folder_.path(), folder_ / "adapter");
  recipe_.init = folder_ / "adapter";
  recipe_.lora = {};
  run(recipe_, folder_.path(), folder_ / "whole");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "whole/model.safetensors"));
  EXPECT_FALSE(formats::is_adapter(folder_ / "whole"));
}

TEST(LoraRecipe, SaysWhatItIsAndReadsBack) {
  const auto parse = [](const std::string& lora, const std::vector<std::string>& overrides = {}) {
    return parse_recipe("task = \"language_model\"\ninit = \"base\"\n[data]\ntrain = \"a.txt\"\n" + lora,
                        "a.toml", overrides);
  };
  const Recipe given = parse("[lora]\nalpha = 16\ntargets = [\"q_proj\", \"v_proj\"]\n");
  EXPECT_EQ(given.lora.rank, 8);
  EXPECT_EQ(given.lora.alpha, 16);
  const Recipe again = parse_recipe(to_toml(given), "b.toml");
  EXPECT_EQ(again.lora.rank, 8);
  EXPECT_EQ(again.lora.targets, given.lora.targets);
  EXPECT_EQ(parse("", {"lora.rank=4"}).lora.rank, 4);
  const Recipe none = parse("");
  EXPECT_EQ(none.lora.rank, 0);
  EXPECT_NE(to_toml(none).find("\n# [lora]\n# rank = 8"), std::string::npos);
  EXPECT_EQ(parse_recipe(to_toml(none), "b.toml").lora.rank, 0);
  EXPECT_NO_THROW(check_resumable(none, none));
  EXPECT_THROW(check_resumable(none, given), Error);
}

TEST(LoraRecipe, FaultsAreNamedWhereTheyAre) {
  const auto expect = [](const std::string& toml, const char* part) {
    fovea::test::expect_error(
        Error::Kind::usage, [&] { parse_recipe(toml, "a.toml"); }, part);
  };
  const std::string head = "task = \"language_model\"\n[data]\ntrain = \"a.txt\"\n";
  const std::string with_init = "init = \"base\"\n" + head;
  expect(with_init + "[lora]\nrank = 0\n",
         "a.toml:6:8: lora.rank is the integer 0 but must be an integer from 1");
  expect(with_init + "[lora]\n", "[lora] says nothing; give lora.rank");
  expect(with_init + "[lora]\nrnk = 3\n", "did you mean lora.rank?");
  expect(with_init + "[lora]\ndropout = 1.5\n", "lora.dropout");
  expect(head + "[lora]\nrank = 4\n", "[lora] adapts a model, and init names none");
}

/// A small BERT that has been trained to tell one thing is adapted to tell another, of other classes.
TEST(LoraClassification, LearnsAHeadForItsOwnClasses) {
  test::ScratchFolder folder{test::memory_folder()};
  std::string first, second;
  for (int i = 0; i < 120; ++i) {
    const std::string text = std::string(i % 2 ? "ba do" : "fi do") + (i % 3 ? " ke" : " lo");
    first += text + "\t" + (i % 2 ? "up" : "down") + "\n";
    second += text + "\t" + (i % 3 ? "left" : (i % 2 ? "right" : "straight")) + "\n";
  }
  test::write(folder / "first.tsv", first);
  test::write(folder / "second.tsv", second);
  const auto recipe_of = [](const std::string& head, const std::string& train,
                            std::vector<std::string> more) {
    for (const char* each :
         {"model.max_positions=16", "training.batch_tokens=96", "training.warmup=4",
          "training.validate_every=10", "training.save_every=5", "training.average_last=0"})
      more.emplace_back(each);
    return parse_recipe("task = \"classification\"\nname = \"tiny\"\n" + head +
                            "[data]\nvalid_share = 0.2\n" + "train_tsv = \"" + train + "\"\n",
                        "tiny.toml", more);
  };
  run(recipe_of("", "first.tsv",
                {"model.layers=1", "model.width=16", "training.updates=20", "training.rate=0.003"}),
      folder.path(), folder / "base");
  Recipe recipe = recipe_of("init = \"" + folder.path("base") + "\"\n", "second.tsv",
                            {"lora.rank=4", "training.updates=150", "training.rate=0.02"});
  const auto result = run(recipe, folder.path(), folder / "adapter");
  EXPECT_GT(*result.final.score->of(accuracy_metric), 0.9);
  const kernels::ExecutionOwner owner(1);
  const auto model = models::load_classifier(folder / "adapter", owner.get());
  EXPECT_EQ(model->classes().names, (std::vector<std::string>{"left", "right", "straight"}));
  const auto config = nlohmann::json::parse(test::read(folder / "adapter/adapter_config.json"));
  EXPECT_EQ(config["task_type"], "SEQ_CLS");
  EXPECT_EQ(config["modules_to_save"], nlohmann::json::array({"classifier"}));
  recipe.training.updates = 20;
  run(recipe, folder.path(), folder / "short");
  run(recipe, folder.path(), folder / "cut", false, 7);
  run(recipe, folder.path(), folder / "cut", true);
  test::expect_same_run(folder / "short", folder / "cut", "adapter_model.safetensors");
}

/// Translators are validated by decoding, step by step.
TEST(LoraTranslation, LearnsAndIsValidatedByDecoding) {
  test::TinyData data;
  Recipe recipe = data.recipe;
  run(recipe, data.path(), data / "base");
  recipe.init = data / "base";
  recipe.lora.rank = 2;
  recipe.lora.targets = {"all-linear"};
  const auto result = run(recipe, data.path(), data / "adapter");
  ASSERT_TRUE(result.final.score && result.final.score->of(bleu_metric));
  EXPECT_TRUE(formats::is_adapter(data / "adapter"));
  const auto model = models::load_translation_model(data / "adapter");
  EXPECT_TRUE(model->parameters().values().defined());
}

}  // namespace
}  // namespace fovea::training
