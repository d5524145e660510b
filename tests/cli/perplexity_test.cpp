// fovea evaluate --text
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/cli/run.h"

namespace fovea::cli {
namespace {

constexpr auto line = "to be, or not to be: that is the question.\n";

/// A model of characters, trained for a moment on a text that it will know.
class Perplexity : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::ScratchFolder;
    std::string text;
    for (int i = 0; i < 30; ++i) text += line;
    folder_->write("text", text);
    folder_->write(
        "recipe.toml",
        "task = 'language_model'\n[data]\ntrain = 'text'\nvalid_share = 0.1\n[model]\npreset = 'custom'\n"
        "layers = 1\nwidth = 16\nheads = 2\nfeed_forward = 32\nmax_positions = 32\ndropout = 0\n"
        "[training]\nupdates = 60\nbatch_tokens = 128\nrate = 0.02\nwarmup = 5\nvalidate_every = 20\n");
    trained_ = run_fovea("train " + folder_->path("recipe.toml") + " --data " + folder_->path("") +
                         " --output " + folder_->path("model") + " --threads 1");
  }
  static void TearDownTestSuite() { delete folder_; }

  static RunResult evaluate(const std::string& arguments) {
    return run_fovea("evaluate --threads 1 --model " + folder_->path("model") + " " + arguments);
  }
  static nlohmann::json report(const std::string& arguments) {
    const auto result = evaluate("--json " + arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  }
  static std::string file(const std::string& name, const std::string& text) {
    return folder_->write(name, text);
  }

  static inline test::ScratchFolder* folder_ = nullptr;
  static inline RunResult trained_;
};

TEST_F(Perplexity, TrainingSaysWhatItLearnedFromAndHowWell) {
  EXPECT_EQ(trained_.code, 0) << trained_.err;
  EXPECT_CONTAINS(trained_.err, "1 document, ");
  EXPECT_CONTAINS(trained_.err, "validation perplexity");
}

TEST_F(Perplexity, CountsEveryCharacterOnce) {
  std::string text;
  for (int i = 0; i < 4; ++i) text += line;
  const std::string path = file("four", text);
  double least = 1e9;
  for (const std::string windows : {"", "--window 32 --stride 32", "--window 9 --stride 2", "--window 1"}) {
    const auto found = report("--text " + path + " " + windows);
    EXPECT_EQ(found["tokens"], text.size()) << windows;
    EXPECT_EQ(found["characters"], text.size()) << windows;
    EXPECT_NEAR(found["nats_per_token"].get<double>(), found["nats"].get<double>() / double(text.size()),
                1e-9);
    EXPECT_NEAR(found["perplexity"].get<double>(), std::exp(found["nats_per_token"].get<double>()), 1e-6);
    EXPECT_GE(found["nats"].get<double>(), 0.0);
    least = std::min(least, found["perplexity"].get<double>());
  }
  EXPECT_LT(least, 8.0);  // it has learned something: there are 17 characters
  const auto result = evaluate("--text " + path);
  EXPECT_CONTAINS(result.out, "nats per character  ");
  EXPECT_CONTAINS(result.out, "\n1 document, read in windows of 32 tokens, 16 apart\n");
}

TEST_F(Perplexity, TwoFilesAreTwoTexts) {
  const auto found = report("--text " + file("a", line) + " " + file("b", line));
  EXPECT_EQ(found["documents"], 2);
  const auto one = report("--text " + file("a", line));
  EXPECT_NEAR(found["nats"].get<double>(), 2 * one["nats"].get<double>(), 1e-9);
}

TEST_F(Perplexity, LinesEndWhereTheyEnd) {
  const auto found = report("--documents lines --column 2 --text " + file("tsv", "x\tto be\nx\tor not\n"));
  EXPECT_EQ(found["documents"], 2);
  EXPECT_EQ(found["characters"], 11);
  EXPECT_EQ(found["tokens"], 13);  // and two ends
}

TEST_F(Perplexity, WhatTheTokenizerDoesNotKnowIsCountedAndTold) {
  const auto result = evaluate("--json --text " + file("odd", "to be \xe6\x98\xa5\n"));
  EXPECT_CONTAINS(result.err, "1 of 8 tokens are unknown to the tokenizer");
  EXPECT_EQ(nlohmann::json::parse(result.out)["unknown_tokens"], 1);
}

TEST_F(Perplexity, I16_FlagsThatDoNotGoTogetherAreNamed) {
  const std::string text = file("a", line);
  expect_failure(evaluate("--text " + text + " --reference " + text), 2, "--text asks how well");
  expect_failure(run_fovea("evaluate --text " + text), 2, "--text needs --model");
  expect_failure(evaluate("--reference " + text + " --source " + text + " --stride 3"), 2, "need --text");
  expect_failure(evaluate("--window 33 --text " + text), 2, "the model takes from 1 to 32");
  expect_failure(evaluate("--window 8 --stride 9 --text " + text), 2, "would leave tokens out");
}

TEST_F(Perplexity, I01_WhatCannotBeReadIsNamed) {
  expect_failure(evaluate("--text " + folder_->path("missing")), 3, "missing");
  expect_failure(evaluate("--text /dev/null"), 3, "has nothing to be predicted");
  expect_failure(run_fovea("evaluate --model " + folder_->path("nothing") + " --text " + file("a", line)), 4,
                 "nothing");
}

}  // namespace
}  // namespace fovea::cli
