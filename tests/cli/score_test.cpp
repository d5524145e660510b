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
  data::TemporaryFolder folder_;
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
