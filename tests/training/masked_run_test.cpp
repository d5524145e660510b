// Training of masked language models, and of classifiers that begin with them.
#include <gtest/gtest.h>

#include "fovea/base/random.h"
#include "fovea/models/classifier_folder.h"
#include "fovea/text/load_tokenizer.h"
#include "tests/training/tiny_run.h"

namespace fovea::training::test {
namespace {

// Sentences in which each word tells the next: "ba" is followed by "be", "be" by "bi", ...
std::string chains(int lines, std::uint64_t seed) {
  static constexpr const char* vowels = "aeiou";
  static constexpr const char* consonants = "bdfgk";
  const auto key = RandomKey::of(seed, 0, site::shuffle);
  std::uint64_t at = 0;
  std::string text;
  for (int line = 0; line < lines; ++line) {
    const char consonant = consonants[below(key, ++at, 5)];
    const auto begin = below(key, ++at, 5);
    for (std::uint32_t word = 0; word < 8; ++word)
      text += std::string(word ? " " : "") + consonant + vowels[(begin + word) % 5];
    text += "\n";
  }
  return text;
}

class TinyText : public TinyRuns {
 public:
  TinyText() {
    write(folder_ / "train.txt", chains(200, 1));
    write(folder_ / "valid.txt", chains(40, 2));
    recipe = parse_recipe(
        "task = \"masked_language_model\"\n"
        "[data]\ntrain = [\"train.txt\"]\nvalid = [\"valid.txt\"]\ndocuments = \"lines\"\n"
        "[tokenizer]\nkind = \"words\"\n"
        "[model]\npreset = \"custom\"\nlayers = 2\nwidth = 16\nheads = 2\nfeed_forward = 32\nmax_positions = "
        "16\n"
        "dropout = 0.0\n"
        "[training]\nupdates = 24\nbatch_tokens = 400\nrate = 0.005\nwarmup = 10\nvalidate_every = "
        "8\nsave_every = 8\n"
        "log_every = 3\n",
        "tiny.toml");
  }
};

TEST(MaskedRun, LearnsWhatStandsBehindMasks) {
  using Family = models::BertConfig::Family;
  for (const auto& [family, name] : {std::pair(Family::bert, "BertForMaskedLM"),
                                     {Family::distilbert, "DistilBertForMaskedLM"},
                                     {Family::roberta, "RobertaForMaskedLM"}}) {
    TinyText text;
    text.recipe.masking.family = family;
    text.recipe.training.updates = family == Family::bert ? 700 : 40;
    text.recipe.training.validate_every = text.recipe.training.save_every = 100;
    text.recipe.model.width = 32;
    const auto result = text.run("run");
    ASSERT_TRUE(result.final.score);
    EXPECT_GT(*result.final.score->of(masked_accuracy_metric), family == Family::bert ? 0.9 : 0.04);
    EXPECT_EQ(result.final.score->score(), -result.final.score->loss) << "best goes by the loss";
    EXPECT_NE(read(text / "run/config.json").find(name), std::string::npos);
    const auto model = models::load_bert(text / "run");
    EXPECT_EQ(model->max_tokens(), 16);
    EXPECT_TRUE(model->config().tie_output);
    EXPECT_NE(read(text / "run/learning_curve.svg").find(">validation masked accuracy</text>"),
              std::string::npos);
    EXPECT_NE(read(text / "run/training.json").find("\"valid_perplexity\""), std::string::npos);
  }
}

TEST(MaskedRun, G01_StopsLeaveNoTrace) {
  TinyText text;
  text.recipe.masking.whole_words = true;
  text.run("whole");
  text.run("parts", false, 3);
  text.run("parts", true, 11);
  text.run("parts", true);
  expect_same_run(text / "whole", text / "parts");
}

TEST(MaskedRun, AClassifierBeginsWithIt) {
  TinyText text;
  text.run("masked");
  write(text / "train.tsv", "ba be bi\tB\nda de di\tD\nbo bu ba\tB\n");
  Recipe recipe = parse_recipe("task = \"classification\"\n[data]\ntrain_tsv = \"train.tsv\"\n", "next.toml",
                               {"training.updates=2", "training.rate=0"});
  recipe.init = text / "masked";
  recipe.training.minimum_rate = 0;
  std::atomic<bool> stop{false};
  run_training(recipe, {.data = text / ".", .output = text / "classifier", .threads = 1}, stop, {});
  const auto values = [&](const std::string& run, const std::string& name) {
    const Tensor tensor = formats::Weights::open(text / run).read(name);
    return std::vector<float>(tensor.values().begin(), tensor.values().end());
  };
  for (const std::string name :
       {"bert.embeddings.word_embeddings.weight", "bert.encoder.layer.1.output.dense.weight"})
    EXPECT_EQ(values("masked", name), values("classifier", name));
  EXPECT_EQ(values("classifier", "classifier.weight").size(), 2u * 16);
  EXPECT_EQ(read(text / "masked/tokenizer.json"), read(text / "classifier/tokenizer.json"));
  EXPECT_NE(read(text / "classifier/config.json").find("BertForSequenceClassification"), std::string::npos);
}

TEST(MaskedRun, GoesOnFromAModelOfItsKind) {
  TinyText text;
  const auto first = text.run("first");
  text.recipe =
      parse_recipe("task = \"masked_language_model\"\ninit = \"" + (text / "first").string() +
                       "\"\n[data]\ntrain = [\"train.txt\"]\nvalid = [\"valid.txt\"]\ndocuments = \"lines\"\n"
                       "[training]\nupdates = 2\nbatch_tokens = 400\nrate = 0\n",
                   "next.toml");
  const auto same = text.run("same");
  text.recipe.training.updates = 4;
  text.run("same", true);  // its recipe, as it was written, is read again
  EXPECT_EQ(same.final.score->loss, first.final.score->loss) << "the masks of validations are the same";
}

TEST(MaskedRun, TextThatCannotBeLearnedFromIsNamed) {
  TinyText text;
  write(text / "train.txt", "\n \n");
  message_of(Error::Kind::data, [&] { text.run("run"); });
  TinyText narrow;
  narrow.recipe.model.max_positions = 2;
  const std::string said = message_of(Error::Kind::usage, [&] { narrow.run("run"); });
  EXPECT_NE(said.find("leaves no room for a text"), std::string::npos) << said;
}

}  // namespace
}  // namespace fovea::training::test
