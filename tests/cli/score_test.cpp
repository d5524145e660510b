// fovea score: a line a pair.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "tests/cli/run.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

class Score : public testing::Test {
 protected:
  RunResult score(const std::string& source, const std::string& target, const std::string& flags = "") {
    return run_fovea("score --threads 1 --model " + shell_word(test::SmallModel::folder().string()) +
                     " --source " + folder_.write("source", source) + " --target " +
                     folder_.write("target", target) + " " + flags);
  }
  test::ScratchFolder folder_;
};

TEST_F(Score, OneNumberAPairThatIsNoNaN) {
  const auto result = score("baren\n\nthe der\nzwei\n", "moli\nmoli\n\nthe\n");
  EXPECT_EQ(result.code, 0) << result.err;
  std::istringstream in(result.out);
  int lines = 0;
  for (double value; in >> value; ++lines) EXPECT_LT(value, 0.0);
  EXPECT_EQ(lines, 4);
  EXPECT_EQ(count(result.out, "\n"), 4);
}

// What translate --nbest says with a length penalty of 0 is the sum.
TEST_F(Score, SaysWhatTranslateSays) {
  const std::string model = " --model " + shell_word(test::SmallModel::folder().string());
  const auto found =
      run_fovea("translate --threads 1 --beam 4 --nbest 4 --length-penalty 0 'the der baren'" + model);
  std::istringstream in(found.out);
  std::string line;
  int compared = 0;
  while (std::getline(in, line)) {
    const auto first = line.find('\t'), second = line.find('\t', first + 1);
    const double said = std::stod(line.substr(first + 1));
    const auto result = score("the der baren\n", line.substr(second + 1) + "\n");
    // A text that the tokenizer would cut otherwise is another hypothesis.
    compared += std::abs(std::stod(result.out) - said) < 2e-3;
  }
  EXPECT_GT(compared, 0);
}

TEST_F(Score, TokensAndTheirMean) {
  const auto sum = score("baren\n", "moli\n"), mean = score("baren\n", "moli\n", "--mean"),
             tokens = score("baren\n", "moli\n", "--tokens");
  std::istringstream in(tokens.out);
  double whole = 0, parts = 0, part = 0;
  std::string piece;
  int count = 0;
  in >> whole;
  for (; in >> piece >> part; ++count) parts += part;
  EXPECT_EQ(piece, "</s>");
  EXPECT_NEAR(whole, parts, 1e-3);
  EXPECT_NEAR(std::stod(sum.out), whole, 1e-9);
  EXPECT_NEAR(std::stod(mean.out), whole / count, 1e-3);
}

TEST_F(Score, SeveralModelsScoreTogether) {
  const test::ScratchFolder scratch;
  const std::string other = (scratch / "other").string();
  test::write_model(other, *test::small_model(test::small_config(), 8));
  const std::string again = "--model " + shell_word(test::SmallModel::folder().string()),
                    both = "--model " + shell_word(other);
  const auto alone = score("baren\n", "moli\n"), itself = score("baren\n", "moli\n", again),
             log = score("baren\n", "moli\n", both),
             probability = score("baren\n", "moli\n", both + " --ensemble-mean probability");
  EXPECT_EQ(log.code, 0) << log.err;
  EXPECT_NEAR(std::stod(itself.out), std::stod(alone.out), 1e-3);
  EXPECT_NE(log.out, alone.out);
  EXPECT_NE(log.out, probability.out);
  const auto pieces = text::TranslationTokenizer(test::small_pieces(400, 9), {});
  test::write_model((scratch / "foreign").string(), *test::small_model(test::small_config(pieces)), pieces);
  expect_failure(score("baren\n", "moli\n", "--model " + shell_word((scratch / "foreign").string())), 4,
                 "its tokenizer is another");
}

TEST_F(Score, E04_WeightsThatAreNoNumbersAreAWarningAndThenAnError) {
  const test::ScratchFolder scratch;
  const auto model = test::small_model();
  model->parameters().views()[4].value.f32()[0] = INFINITY;
  const std::string bad = (scratch / "bad").string();
  test::write_model(bad, *model);
  for (const std::string flags : {"", " --dtype int8", " --ensemble-mean probability"}) {
    const auto result = score("baren\n", "moli\n", "--model " + shell_word(bad) + flags);
    EXPECT_EQ(result.code, 4);
    EXPECT_EQ(result.out, "");
    EXPECT_CONTAINS(result.err, "NaN or infinite weights in " + model->parameters().views()[4].name);
    EXPECT_CONTAINS(result.err, "fovea: pair 1: the logits of token 1 are no numbers");
  }
}

TEST_F(Score, SixtyFourThreadsSayWhatOneSays) {
  std::string source, target;
  for (int i = 0; i < 200; ++i) {
    source += i % 7 == 3 ? "\n" : "baren the der\n";
    target += i % 5 == 2 ? "moli zwei\n" : "zwei\n";
  }
  const auto one = score(source, target, "--tokens");
  EXPECT_EQ(count(one.out, "\n"), 200);
  EXPECT_EQ(
      run_fovea("score --tokens --threads 64 --model " + shell_word(test::SmallModel::folder().string()) +
                " --source " + folder_.path("source") + " --target " + folder_.path("target"))
          .out,
      one.out);
}

TEST_F(Score, I13_AReaderThatLeavesEndsItQuietly) {
  std::string lines;
  for (int i = 0; i < 20'000; ++i) lines += "baren\n";
  folder_.write("source", lines);
  const auto result =
      run("{ " + shell_word(FOVEA_BINARY) + " score --threads 1 --model " +
          shell_word(test::SmallModel::folder().string()) + " --source " + folder_.path("source") +
          " --target " + folder_.path("source") + "; echo $? >&2; } | head -n 1");
  EXPECT_EQ(count(result.out, "\n"), 1);
  EXPECT_TRUE(result.err == "141\n" || result.err == "0\n") << result.err;
}

TEST_F(Score, PairsThatDoNotFitAndFilesThatDoNotMatch) {
  std::string words;
  for (int i = 0; i < 20000; ++i) words += "der ";
  const auto result = score("baren\n" + words + "\nbaren\n", "moli\nmoli\n" + words + "\n");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(count(result.out, "-inf\n"), 2);
  EXPECT_EQ(result.err, "fovea: warning: 2 pairs longer than the model takes: -inf, the first in line 2\n");
  expect_failure(score("a\nb\n", "a\n"), 3, "ends after line 1, before");
  expect_failure(score("a\n", "a\nb\n"), 3, "source: ends after line 1, before");
  expect_failure(run_fovea("score --source /nowhere/x --target /dev/null"), 3, "/nowhere/x");
}

}  // namespace
}  // namespace fovea::cli
