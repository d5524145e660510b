// Training of models that label words, from a corpus whose labels only the words before tell.
#include <gtest/gtest.h>

#include "fovea/base/random.h"
#include "fovea/models/classifier_folder.h"
#include "tests/training/tiny_run.h"

namespace fovea::training::test {
namespace {

// "mr" and "in" say whether the made-up name of one or two words behind them is a person's or a place's.
std::string names_in_sentences(int sentences, std::uint64_t seed, bool iobes = false) {
  static const std::vector<std::string> plain{"saw", "the", "old", "and", "went"},
      names{"Aro", "Belu", "Cadi", "Doran", "Elmi", "Fenno"};
  const auto key = RandomKey::of(seed, 0, site::sample);
  std::uint64_t draws = 0;
  const auto draw = [&](std::size_t n) {
    return static_cast<std::size_t>(uniform(key, draws++) * static_cast<float>(n)) % n;
  };
  std::string text;
  for (int i = 0; i < sentences; ++i) {
    for (std::size_t part = 0, parts = 2 + draw(3); part < parts; ++part) {
      text += plain[draw(plain.size())] + "\tO\n";
      const bool person = draw(2) == 0, two = draw(2) == 0;
      const std::string type = person ? "PER" : "LOC";
      text += std::string(person ? "mr" : "in") + "\tO\n";
      text += names[draw(names.size())] + "\t" + (iobes && !two ? "S-" : "B-") + type + "\n";
      if (two) text += names[draw(names.size())] + "\t" + (iobes ? "E-" : "I-") + type + "\n";
    }
    text += ".\tO\n\n";
  }
  return text;
}

class TinyTags : public TinyRuns {
 public:
  explicit TinyTags(bool iobes = false) {
    write(folder_ / "train.conll", names_in_sentences(150, 1, iobes));
    write(folder_ / "valid.conll", names_in_sentences(40, 2, iobes));
    recipe = parse_recipe(
        "task = \"token_classification\"\n"
        "[data]\ntrain = \"train.conll\"\nvalid = \"valid.conll\"\n"
        "[tokenizer]\nkind = \"word_piece\"\nvocabulary = 70\nlowercase = false\n"
        "[model]\npreset = \"custom\"\nlayers = 2\nwidth = 16\nheads = 2\nfeed_forward = 32\nmax_positions = "
        "48\n"
        "dropout = 0.0\n"
        "[training]\nupdates = 24\nbatch_tokens = 200\nrate = 0.005\nwarmup = 10\nvalidate_every = "
        "8\nsave_every = 8\n"
        "log_every = 3\n",
        "tiny.toml");
  }
};

TEST(TaggingRun, LearnsWhatOnlyContextTells) {
  for (const bool iobes : {false, true}) {
    TinyTags tags(iobes);
    tags.recipe.training.updates = 600;
    tags.recipe.training.validate_every = tags.recipe.training.save_every = 100;
    tags.recipe.model.width = 32;
    const auto result = tags.run("run");
    ASSERT_TRUE(result.final.score);
    EXPECT_GT(*result.final.score->of(entity_f1_metric), 0.9)
        << "without context half of the types are wrong";
    EXPECT_GT(*result.final.score->of(accuracy_metric), 0.95);
    const auto model = models::load_bert(tags / "run");
    EXPECT_EQ(model->config().head, models::BertConfig::Head::token);
    EXPECT_EQ(model->classes().size(), iobes ? 7 : 5);
    EXPECT_NE(read(tags / "run/config.json").find("BertForTokenClassification"), std::string::npos);
    EXPECT_NE(read(tags / "run/log.jsonl").find("\"words_per_second\""), std::string::npos);
    EXPECT_NE(read(tags / "run/learning_curve.svg").find(">validation entity F1</text>"), std::string::npos);
  }
}

TEST(TaggingRun, G01_StopsLeaveNoTrace) {
  TinyTags tags;
  tags.run("whole");
  tags.run("parts", false, 3);
  tags.run("parts", true, 11);
  tags.run("parts", true);
  expect_same_run(tags / "whole", tags / "parts");
}

TEST(TaggingRun, BeginsWithAPretrainedEncoder) {
  TinyTags tags;
  tags.run("first");
  tags.recipe.init = tags / "first";
  tags.recipe.training.rate = tags.recipe.training.minimum_rate = 0;
  tags.run("same");
  const auto values = [&](const std::string& run, const std::string& name) {
    const Tensor tensor = formats::Weights::open(tags / run).read(name);
    return std::vector<float>(tensor.values().begin(), tensor.values().end());
  };
  const std::string query = "bert.encoder.layer.0.attention.self.query.weight";
  EXPECT_EQ(values("first", query), values("same", query));
  EXPECT_EQ(values("first", "classifier.weight"), values("same", "classifier.weight"));
  write(tags / "train.conll", "Aro NOUN\nsaw VERB\n\nthe DET\nold ADJ\n");
  tags.recipe.tagging.valid.clear();
  tags.recipe.training.updates = 2;
  tags.run("other");
  EXPECT_EQ(values("first", query), values("other", query));
  EXPECT_EQ(values("other", "classifier.weight").size(), 4u * 16);
  EXPECT_EQ(read(tags / "first/tokenizer.json"), read(tags / "other/tokenizer.json"));
}

TEST(TaggingRun, AdaptersLearnBesideThePretrainedEncoder) {
  TinyTags tags;
  tags.run("base");
  tags.recipe =
      parse_recipe("task = \"token_classification\"\ninit = \"" + (tags / "base").string() +
                       "\"\n[data]\ntrain = \"train.conll\"\nvalid = \"valid.conll\"\n[lora]\nrank = 2\n"
                       "[training]\nupdates = 24\nbatch_tokens = 200\nvalidate_every = 8\nsave_every = 8\n",
                   "adapt.toml");
  tags.run("whole");
  tags.run("parts", false, 11);
  tags.run("parts", true);
  EXPECT_EQ(read(tags / "whole/adapter_model.safetensors"), read(tags / "parts/adapter_model.safetensors"));
  EXPECT_NE(read(tags / "whole/adapter_config.json").find("TOKEN_CLS"), std::string::npos);
  const auto model = models::load_bert(tags / "whole");
  EXPECT_EQ(model->config().head, models::BertConfig::Head::token);
}

TEST(TaggingRun, LabelsWithoutEntitiesAreJudgedByAccuracy) {
  TinyTags tags;
  write(tags / "train.jsonl",
        R"({"tokens": ["the", "old", "one", "saw"], "tags": ["DET", "ADJ", "NOUN", "VERB"]})"
        "\n"
        R"({"words": ["saw", "the", "one"], "labels": ["VERB", "DET", "NOUN"]})"
        "\n");
  tags.recipe.tagging.train = tags.recipe.tagging.valid = "train.jsonl";
  const auto result = tags.run("run");
  EXPECT_FALSE(result.final.score->of(entity_f1_metric));
  EXPECT_EQ(result.final.score->score(), result.final.score->of(accuracy_metric));
  write(tags / "numbers.jsonl", R"({"tokens": ["the", "saw"], "ner_tags": [1, 0]})"
                                "\n");
  tags.recipe.tagging.train = tags.recipe.tagging.valid = "numbers.jsonl";
  tags.recipe.tagging.labels = {"VERB", "DET"};
  tags.recipe.training.updates = 2;
  tags.run("numbers");
  EXPECT_EQ(models::load_bert(tags / "numbers")->classes().names, tags.recipe.tagging.labels);
}

TEST(TaggingRun, DataThatCannotBeLearnedFromIsNamed) {
  TinyTags tags;
  const auto expect_refused = [&](const std::string& text, const std::string& why) {
    write(tags / "train.conll", text);
    const std::string said = message_of(Error::Kind::data, [&] { tags.run("run"); });
    EXPECT_NE(said.find(why), std::string::npos) << said;
  };
  expect_refused("a O\nb\n", "train.conll:2: has 1 columns");
  expect_refused("a O\nb O\n", "has one class only, 'O'");
  expect_refused("\n\n", "has no sentence");
  expect_refused("a B-X\nb O\n", "valid.conll:1: has the label 'B-");
  tags.recipe.tagging.label_column = 3;
  expect_refused("a NN O\nb NN\n", "train.conll:2: has 2 columns, and column 3 is asked for");
}

}  // namespace
}  // namespace fovea::training::test
