#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/cli/run.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

class Align : public testing::Test {
 protected:
  RunResult align(const std::string& arguments) {
    return run_fovea("align --threads 1 --model " + test::SmallModel::folder().string() + " " + arguments);
  }
  std::string files() { return "--source " + source_ + " --target " + target_; }

  test::ScratchFolder folder_;
  std::string source_ = folder_.write("s", "eba schl the .\n\nren\n"),
              target_ = folder_.write("t", "zw the . x\neba\nbaren ing\n"),
              gold_ = folder_.write("g", "0-0 1?1 2-1 3-2\n\n0-0 0?1\n");
};

TEST_F(Align, ALineOfLinksForEachPair) {
  const auto result = align(files());
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(count(result.out, "\n"), 3);
  EXPECT_EQ(count(result.out, "-"),
            4 + 2);  // a link for each target word; a side of the second pair is empty
  EXPECT_CONTAINS(result.out, "\n\n0-0 0-1\n");
}

TEST_F(Align, ThreadsChangeNothingAndTheHeadChosenDoes) {
  const auto one = align(files() + " --layer 1 --head 2");
  const auto two = run_fovea("align --threads 2 --model " + test::SmallModel::folder().string() + " " +
                             files() + " --layer 1 --head 2");
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(one.out, two.out);
  std::set<std::string> answers;
  for (const std::string how :
       {"--mean", "--rollout", "--layer 0", "--layer 0 --head 1", "--layer 1 --head 3 --shift"}) {
    const auto result = align(files() + " " + how);
    EXPECT_EQ(result.code, 0) << how << result.err;
    EXPECT_EQ(count(result.out, "\n"), 3);
    answers.insert(result.out);
  }
  EXPECT_GT(answers.size(), 1u);
  EXPECT_EQ(align(files()).out, align(files() + " --mean").out);
}

TEST_F(Align, GoldPrintsTheErrorRateAndPairsFilesSayTheSame) {
  const auto result = align(files() + " --gold " + gold_);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(count(result.out, "\n"), 3);
  EXPECT_TRUE(result.err.starts_with("fovea: AER ")) << result.err;
  EXPECT_CONTAINS(result.err, "(3 pairs, 6 links, 4 sure in the gold)\n");
  const std::string pairs = folder_.write(
      "p.tsv", "eba schl the .\tzw the . x\t0-0 1?1 2-1 3-2\n\teba\t\nren\tbaren ing\t0-0 0?1\n");
  EXPECT_EQ(align("--pairs " + pairs).err, result.err);
  EXPECT_EQ(align("--pairs " + pairs).out, result.out);
}

TEST_F(Align, JsonAndTheTableHoldEveryHead) {
  const auto json = nlohmann::json::parse(align(files() + " --every-head --json --gold " + gold_).out);
  EXPECT_EQ(json["pairs"], 3);
  EXPECT_EQ(json["sure"], 4);
  ASSERT_EQ(json["heads"].size(), 2u * (2 * 5 + 2));
  const auto table = align(files() + " --every-head --gold " + gold_);
  EXPECT_EQ(count(table.out, "\n"), 25);
  EXPECT_EQ(count(table.out, "(best)"), 1);
  for (const auto& head : json["heads"]) {
    EXPECT_CONTAINS(table.out, head["attention"].get<std::string>());
    if (head["attention"] == "mean of all heads") {
      EXPECT_EQ(head["aer"], json["aer"]);  // the default
    }
  }
}

TEST_F(Align, TheBestHeadOfADevelopmentSetIsUsed) {
  const std::string pairs = folder_.write("p.tsv", "eba schl the .\tzw the . x\t0-0 1?1 2-1 3-2\n");
  const auto best = align("--pairs " + pairs + " --best-on " + pairs);
  EXPECT_EQ(best.code, 0) << best.err;
  const auto table = nlohmann::json::parse(align("--pairs " + pairs + " --every-head --json").out)["heads"];
  double least = 1;
  for (const auto& head : table) least = std::min(least, head["aer"].get<double>());
  const auto used = nlohmann::json::parse(align("--pairs " + pairs + " --best-on " + pairs + " --json").out);
  EXPECT_EQ(used["aer"].get<double>(), least);
  EXPECT_CONTAINS(best.err, "fovea: best on " + pairs + ": " + used["attention"][0].get<std::string>());
}

TEST_F(Align, TwoDirectionsAreJoined) {
  const std::string reverse = " --reverse-model " + test::SmallModel::folder().string();
  const auto links = [&](const std::string& how) {
    return count(align(files() + reverse + " --symmetrise " + how).out, "-");
  };
  EXPECT_LE(links("intersection"), links("grow-diag-final-and"));
  EXPECT_LE(links("grow-diag-final-and"), links("union"));
  EXPECT_LT(links("intersection"), links("union"));
  EXPECT_EQ(align(files() + reverse).out, align(files() + reverse + " --symmetrise grow-diag-final-and").out);
}

TEST_F(Align, RulesForLinksReachTheAligner) {
  const auto links = [&](const std::string& how) { return count(align(files() + " " + how).out, "-"); };
  EXPECT_LT(links("--links mutual"), links("--links joined"));
  EXPECT_EQ(links("--links all"), 4 * 4 + 1 * 2);
  EXPECT_LT(links("--links all --threshold 0.3"), links("--links all"));
  EXPECT_NE(align(files() + " --raw").out, align(files()).out);
}

TEST_F(Align, TheDiagonalNeedsNoModel) {
  const auto result = run_fovea("align --baseline diagonal " + files() + " --gold " + gold_);
  EXPECT_EQ(result.out, "0-0 1-1 2-2 3-3\n\n0-0 0-1\n");
  EXPECT_CONTAINS(result.err, "fovea: AER ");
}

TEST_F(Align, ChineseGoldIsReadWithoutItsSpaces) {
  const std::string pairs = folder_.write("zh.tsv", "我 是 学生 。\tI am a student .\t0-0 1-1 2-3 3-4\n");
  const auto result = align("--pairs " + pairs + " --detokenise");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(count(result.out, "-"), 5);
}

TEST_F(Align, PairsLongerThanTheModelTakesHaveNoLinksAndAreCounted) {
  std::string line = "a";
  for (int i = 0; i < 5000; ++i) line += " a";
  const auto result = align("--source " + folder_.write("long.s", "a\n" + line + "\na\n") + " --target " +
                            folder_.write("long.t", "a\na\na\n"));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "0-0\n\n0-0\n");
  EXPECT_CONTAINS(result.err, "warning: 1 pair longer than the 64 tokens");
  EXPECT_CONTAINS(result.err, "the first is line 2");
}

TEST_F(Align, LinksGoToAFileBesideTheReport) {
  const auto result = align(files() + " --gold " + gold_ + " --json --output " + folder_.path("links"));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(read_file(folder_.path("links")), align(files()).out);
  EXPECT_EQ(nlohmann::json::parse(result.out)["links"], 6);
}

TEST_F(Align, BadInputIsOneClearLine) {
  expect_failure(align(files() + " --layer 2"), 2, "there is no layer 2");
  expect_failure(align(files() + " --layer 1 --head 4"), 2, "there is no head 4");
  expect_failure(align("--source " + source_ + " --target " + folder_.write("one", "a\n")), 3,
                 "has 1 lines, but");
  expect_failure(align(files() + " --gold " + folder_.write("bad", "0-0\n\n0-7\n")), 3,
                 ":3: the link 0-7 points at target word 7");
  expect_failure(align(files() + " --gold " + folder_.write("odd", "0-0\n\nx\n")), 3,
                 ":3: 'x' is not a link");
  expect_failure(align(files() + " --best-on " + folder_.write("two", "a\tb\n")), 3,
                 "has no links to choose a head by");
  expect_failure(run_fovea("align " + files() + " --model /nowhere"), 4, "/nowhere");
}

TEST_F(Align, OptionsThatContradictEachOther) {
  expect_failure(align(""), 2, "nothing to align");
  expect_failure(align("--source " + source_), 2, "--source and --target need each other");
  expect_failure(align(files() + " --pairs p"), 2, "--pairs excludes");
  expect_failure(align(files() + " --mean --rollout"), 2, "exclude each other");
  expect_failure(align(files() + " --head 1"), 2, "--head needs --layer");
  expect_failure(align(files() + " --best-on p --shift"), 2, "it tries both");
  expect_failure(align(files() + " --symmetrise union"), 2, "need --reverse-model");
  expect_failure(align(files() + " --every-head"), 2, "need gold");
  expect_failure(align(files() + " --baseline diagonal"), 2, "--baseline excludes a model");
  expect_failure(align(files() + " --layer one"), 2, "layer");
}

}  // namespace
}  // namespace fovea::cli
