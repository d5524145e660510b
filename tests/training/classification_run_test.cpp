#include <gtest/gtest.h>

#include "fovea/models/classifier_folder.h"
#include "tests/training/tiny_run.h"

namespace fovea::training::test {
namespace {

using fovea::test::expect_error;

/// Texts of a made-up language that are "up" if "ba" comes in them, else "down", and a recipe for them.
class TinyTexts : public TinyRuns {
 public:
  explicit TinyTexts(ModelKind kind) {
    save("train.tsv", 120, 1);
    save("valid.tsv", 40, 2);
    const std::string toml = std::string("task = \"classification\"\nname = \"tiny\"\n[data]\n") +
                             "train_tsv = \"train.tsv\"\nvalid_tsv = \"valid.tsv\"\n[model]\nkind = \"" +
                             (kind == ModelKind::recurrent ? "recurrent" : "transformer") + "\"\n";
    recipe = parse_recipe(toml, "tiny.toml",
                          {"model.layers=1", "model.width=16", "model.max_positions=32", "model.dropout=0.1",
                           "training.updates=24", "training.batch_tokens=96", "training.rate=0.02",
                           "training.warmup=4", "training.validate_every=5", "training.save_every=4",
                           "training.log_every=3", "training.word_dropout=0.1", "training.average_last=0"});
  }

  void save(const std::string& name, int count, std::uint64_t seed) const {
    static constexpr const char* words[] = {"ba", "do", "fi", "gu", "ke", "lo"};
    const auto key = RandomKey::of(seed, 0, site::shuffle);
    std::uint64_t at = 0;
    std::string text;
    for (int i = 0; i < count; ++i) {
      bool up = false;
      std::string line;
      for (std::uint32_t w = 0, length = 1 + below(key, ++at, 5); w < length; ++w) {
        const auto chosen = below(key, ++at, std::size(words));
        up = up || chosen == 0;
        line += (w ? " " : "") + std::string(words[chosen]);
      }
      text += line + "\t" + (up ? "up" : "down") + "\n";
    }
    write(folder_ / name, text);
  }
};

TEST(ClassificationRun, LearnsAndLeavesAModelDirectory) {
  for (const auto kind : {ModelKind::recurrent, ModelKind::transformer}) {
    TinyTexts texts(kind);
    texts.recipe.training.updates = kind == ModelKind::recurrent ? 80 : 200;
    if (kind == ModelKind::transformer) texts.recipe.training.rate = 0.003;
    const auto result = texts.run("run");
    ASSERT_TRUE(result.final.score && result.final.score->of(accuracy_metric));
    EXPECT_GT(*result.final.score->of(accuracy_metric), 0.95);
    const kernels::ExecutionOwner owner(1);
    const auto model = models::load_classifier(texts / "run", owner.get());
    EXPECT_EQ(model->classes().names, (std::vector<std::string>{"down", "up"}));
    for (const char* name : {"tokenizer.json", "tokenizer_config.json", "config.json", "training.json"})
      EXPECT_TRUE(std::filesystem::exists(texts / "run" / name)) << name;
    const std::string log = read(texts / "run/log.jsonl"), curve = read(texts / "run/learning_curve.svg");
    EXPECT_NE(log.find("\"accuracy\""), std::string::npos);
    EXPECT_NE(log.find("\"texts_per_second\""), std::string::npos);
    EXPECT_NE(curve.find(">validation accuracy</text>"), std::string::npos);
    EXPECT_NE(curve.find("nats per text"), std::string::npos);
  }
}

TEST(ClassificationRun, G01_StopsLeaveNoTrace) {
  for (const auto kind : {ModelKind::recurrent, ModelKind::transformer}) {
    TinyTexts texts(kind);
    texts.run("whole");
    texts.run("parts", false, 3);
    texts.run("parts", true, 11);
    texts.run("parts", true);
    expect_same_run(texts / "whole", texts / "parts");
  }
}

TEST(ClassificationRun, BeginsWithAPretrainedEncoder) {
  TinyTexts texts(ModelKind::transformer);
  texts.run("first");
  TinyTexts next(ModelKind::transformer);
  next.recipe.init = texts / "first";
  next.recipe.classification.labels = {"down", "up"};
  next.recipe.training.rate = next.recipe.training.minimum_rate = 0;
  next.run("second");
  const auto before = formats::Weights::open(texts / "first"),
             after = formats::Weights::open(next / "second");
  const auto same = [&](const std::string& name) {
    return std::ranges::equal(before.read(name).values(), after.read(name).values());
  };
  EXPECT_TRUE(same("bert.encoder.layer.0.attention.self.query.weight"));
  EXPECT_TRUE(same("classifier.weight")) << "the classes are the same";
  EXPECT_EQ(read(texts / "first/tokenizer.json"), read(next / "second/tokenizer.json"));
}

TEST(ClassificationRun, AShareOfTheTextsMayValidate) {
  TinyTexts texts(ModelKind::recurrent);
  texts.recipe.data.valid_tsv.clear();
  texts.recipe.classification.valid_share = 0.25;
  const auto plan = plan_training(texts.recipe, {.data = texts / "", .threads = 1}, {});
  EXPECT_GT(plan.amount.count, 70);
  EXPECT_LT(plan.amount.count, 110);
}

TEST(ClassificationRun, DataThatCannotBeLearnedAreRefused) {
  TinyTexts texts(ModelKind::recurrent);
  write(texts / "train.tsv", "a\tup\nb\tup\n");
  expect_error(
      Error::Kind::data, [&] { texts.run("one"); }, "train.tsv", "one class only");
  write(texts / "train.tsv", "a\tup\nb\tdown\n");
  write(texts / "valid.tsv", "a\tup\nb\tsideways\n");
  expect_error(
      Error::Kind::data, [&] { texts.run("unseen"); }, "valid.tsv:2", "sideways");
  texts.recipe.classification.labels = {"above", "below"};
  expect_error(
      Error::Kind::data, [&] { texts.run("named"); }, "train.tsv:1", "'up'", "above, below");
}

TEST(ClassificationRecipe, KeysThatDisagreeAreRefused) {
  const auto refusal = [](const std::string& more) {
    return message_of(Error::Kind::usage,
                      [&] { parse_recipe("task = \"classification\"\n" + more, "r.toml"); });
  };
  const auto expect = [&](const std::string& more, const std::string& part) {
    const auto message = refusal(more);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect("[data]\n", "data.train_tsv");
  expect("[data]\ntrain_tsv = \"a\"\nvalid_tsv = \"b\"\nvalid_share = 0.1\n", "valid_share");
  expect("[data]\ntrain_tsv = \"a\"\nlabel_column = 1\n", "same column");
  expect("[data]\ntrain_tsv = \"a\"\n[model]\nlayers = 0\n", "a BERT has layers");
  expect("[data]\ntrain_tsv = \"a\"\n[model]\nembedding_dropout = 0.1\n", "model of this kind");
  expect("init = \"m\"\n[data]\ntrain_tsv = \"a\"\n[model]\nwidth = 64\n", "model.width");
  expect("[data]\ntrain_tsv = \"a\"\n[decoding]\nbeam = 4\n", "decoding");
}

TEST(ClassificationRecipe, IsPrintedAndReadAgain) {
  for (const char* name : {"classify-transformer-tiny", "classify-recurrent-small"}) {
    const Recipe recipe = preset_recipe(name);
    EXPECT_EQ(to_toml(parse_recipe(to_toml(recipe), name)), to_toml(recipe));
  }
}

}  // namespace
}  // namespace fovea::training::test
