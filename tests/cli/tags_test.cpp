// Models that label words: classify --words and evaluate --data of them.
#include <gtest/gtest.h>

#include <sstream>

#include "fovea/formats/json.h"
#include "tests/cli/run.h"
#include "tests/cli/small_encoder.h"

namespace fovea::cli {
namespace {

using fovea::test::ScratchFolder;
using Head = models::BertConfig::Head;

class Tagger {
 public:
  explicit Tagger(std::vector<std::string> labels = {"O", "B-X", "I-X"}) {
    write_encoder(folder_ / "model", Head::token, std::move(labels));
  }
  std::string option() const { return " --model " + shell_word(folder_.path("model")) + " "; }
  std::string file(const std::string& name, const std::string& text) const {
    return shell_word(folder_.write(name, text));
  }

  // The labels that the model gives to words with a space between.
  std::vector<std::string> labels(const std::string& words) const {
    const auto result = run_fovea("classify --words" + option() + shell_word(words));
    EXPECT_EQ(result.code, 0) << result.err;
    std::vector<std::string> found;
    std::istringstream lines(result.out);
    for (std::string line; std::getline(lines, line) && !line.empty();) {
      const auto tab = line.find('\t');
      found.push_back(line.substr(tab + 1, line.rfind('\t') - tab - 1));
    }
    return found;
  }

 private:
  ScratchFolder folder_;
};

// The first column of each line; of an empty line nothing.
std::string words_in(const std::string& out) {
  std::istringstream lines(out);
  std::string words;
  for (std::string line; std::getline(lines, line);) words += line.substr(0, line.find('\t')) + "|";
  return words;
}

TEST(ClassifyWords, ComeOutAsTheyWereGiven) {
  const Tagger model;
  const std::string text = "' It  wasn'\"'\"'t a U.S.\tFILM, naïve'";
  const auto spaced = run_fovea("classify --words" + model.option() + text);
  EXPECT_EQ(spaced.code, 0) << spaced.err;
  EXPECT_EQ(words_in(spaced.out), "It|wasn't|a|U.S.|FILM,|naïve||");
  const auto cut = run_fovea("classify" + model.option() + text);
  EXPECT_EQ(words_in(cut.out), "It|was|n't|a|U|.|S|.|FILM|,|naïve||");
  const auto pair = run_fovea("classify --words --pair" + model.option() + "'a film' 'it was bad'");
  EXPECT_EQ(words_in(pair.out), "a|film|it|was|bad||");
}

TEST(ClassifyWords, EveryWordHasALineEvenBeyondTheModel) {
  const Tagger model;  // 16 tokens
  std::string words = "good";
  for (int i = 1; i < 30; ++i) words += " film";
  const auto result = run_fovea("classify --words" + model.option() + shell_word(words));
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(count(result.out, "\n"), 31);
  EXPECT_EQ(count(result.out, "film\t\t0.0000\n"), 16) << "14 words and what stands around them are read";
  EXPECT_CONTAINS(result.err, "warning: ");
}

TEST(ClassifyWords, IsForModelsThatLabelWords) {
  const ScratchFolder folder;
  write_encoder(folder / "text", Head::text);
  expect_failure(run_fovea("classify --words film --model " + shell_word(folder.path("text"))), 2,
                 "--words: this model labels whole texts");
}

TEST(EvaluateTags, ScoresAreOfTheWordsAsClassified) {
  const Tagger model;
  const auto first = model.labels("good film , bad plot"), second = model.labels("it was n't bad");
  ASSERT_EQ(first.size(), 5u);
  // The gold labels are the model's own, but for one.
  std::string text;
  int words = 0;
  for (const auto& [sentence, labels] :
       {std::pair("good film , bad plot", first), {"it was n't bad", second}}) {
    std::istringstream in(sentence);
    std::size_t i = 0;
    for (std::string word; in >> word; ++words)
      text += word + " NN " + (words == 4 ? (labels[i] == "O" ? "B-X" : "O") : labels[i]) + "\n", ++i;
    text += "\n";
  }
  const auto result = run_fovea("evaluate --json" + model.option() + "--data " + model.file("a.conll", text));
  EXPECT_EQ(result.code, 0) << result.err;
  const auto json = formats::Json::parse(result.out, {"out", Error::Kind::data});
  EXPECT_NEAR(json.at("accuracy").number(), 8.0 / 9, 1e-12);
  EXPECT_EQ(json.at("words").integer(), 9);
  EXPECT_TRUE(json.has("entities") && json.has("strict"));
  const auto plain =
      run_fovea("evaluate" + model.option() + "--columns 1,3 --data " + model.file("a.conll", text));
  EXPECT_CONTAINS(plain.out, "accuracy 0.8889 of 9 words\n");
  EXPECT_CONTAINS(plain.out, "lenient, as seqeval");
  EXPECT_CONTAINS(plain.out, "strict, as seqeval");
  EXPECT_CONTAINS(plain.out, "micro mean");
}

TEST(EvaluateTags, LabelsOfNoEntitiesHaveATableOfTheirOwn) {
  const Tagger model({"NOUN", "VERB", "X"});
  const ScratchFolder folder;
  const auto result =
      run_fovea("evaluate" + model.option() + "--data " +
                model.file("a.jsonl", "{\"tokens\": [\"film\", \"was\"], \"tags\": [\"NOUN\", \"VERB\"]}\n") +
                " --confusion " + shell_word(folder.path("a.svg")));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_CONTAINS(result.out, "\nlabel             precision");
  EXPECT_FALSE(contains(result.out, "entity"));
  EXPECT_CONTAINS(read_file(folder.path("a.svg")), "<svg");
}

TEST(EvaluateTags, FaultsAreOneLine) {
  const Tagger model;
  const auto evaluate = [&](const std::string& text, const std::string& flags = "") {
    return run_fovea("evaluate" + model.option() + flags + " --data " + model.file("a.conll", text));
  };
  expect_failure(evaluate("film B-Y\n"), 3, "a.conll:1: has the label 'B-Y', which no class has");
  expect_failure(evaluate("film O\nbad\n"), 3, "a.conll:2: has 1 columns");
  expect_failure(evaluate("film O\n", "--columns 1,2,3"), 2, "--columns: names 3 columns");
  expect_failure(evaluate("film O\n", "--header"), 2, "--header");
  std::string long_text;
  for (int i = 0; i < 20; ++i) long_text += "film O\n";
  const auto cut = evaluate(long_text);
  EXPECT_EQ(cut.code, 0);
  EXPECT_CONTAINS(cut.err, "warning: 6 words beyond what the model reads");
}

}  // namespace
}  // namespace fovea::cli
