// What happens to a training whose process is told to stop, killed, or out of disk.
#include <gtest/gtest.h>

#include <random>

#include "tests/e2e/process.h"

namespace fovea::e2e {
namespace {

using training::test::expect_same_run;
using training::test::TinyData;
using training::test::write;

/// A tiny training as the user starts it: a recipe in a file, the program, folders beside the data.
class Training {
 public:
  explicit Training(int valid = 12) : data(80, valid) {}

  void save_recipe() const { write(data / "tiny.toml", training::to_toml(data.recipe)); }
  std::vector<std::string> arguments(const std::string& run, bool resume = false) const {
    std::vector<std::string> words{"train",    data / "tiny.toml", "--data",    data.path(),
                                   "--output", data / run,         "--threads", "1"};
    if (resume) words.push_back("--resume");
    return words;
  }
  int to_the_end(const std::string& run, bool resume = false) {
    Process process(arguments(run, resume), data / "log");
    const int code = process.wait();
    last_words = process.said();
    return code;
  }
  bool has_checkpoint(const std::string& run) const {
    return std::filesystem::exists(data / run / "checkpoints") &&
           !formats::find_checkpoints(data / run / "checkpoints").empty();
  }

  TinyData data;
  std::string last_words;
};

struct Moment {
  const char* name;
  const char* after;  ///< what the program says just before
  int number, code;
};

void PrintTo(const Moment& moment, std::ostream* out) { *out << moment.name; }

class Interruption : public testing::TestWithParam<Moment> {};

TEST_P(Interruption, F08_ASignalSavesAndResumeGoesOnAsIfNothingHappened) {
  const Moment& moment = GetParam();
  Training training;
  training.data.recipe.training.updates = 400;
  training.data.recipe.training.validate_every =
      4;  // half of the time goes into validating, a good part into saving
  training.data.recipe.training.save_every = 2;
  training.data.recipe.training.log_every = 1;
  training.save_recipe();
  ASSERT_EQ(training.to_the_end("whole"), 0) << training.last_words;
  Process process(training.arguments("parts"), training.data / "log");
  ASSERT_TRUE(process.says(moment.after)) << process.said();
  process.send(moment.number);
  ASSERT_EQ(process.wait(), moment.code) << process.said();
  EXPECT_NE(process.said().find("go on with --resume"), std::string::npos) << process.said();
  EXPECT_TRUE(training.has_checkpoint("parts"));
  ASSERT_EQ(training.to_the_end("parts", true), 0) << training.last_words;
  expect_same_run(training.data / "whole", training.data / "parts");
}

INSTANTIATE_TEST_SUITE_P(Signals, Interruption,
                         testing::Values(Moment{"first batch", "update 1/", SIGTERM, 143},
                                         Moment{"validation", "update 4/", SIGINT, 130},
                                         Moment{"save", "update 6/", SIGTERM, 143},
                                         Moment{"later", "update 33/", SIGHUP, 129}));

TEST(Interruption, F08_ASecondSignalEndsTheProcessAtOnce) {
  Training training(3000);  // its validation takes seconds
  training.data.recipe.training.validate_every = 1;
  training.data.recipe.training.log_every = 1;
  training.data.recipe.decoding.validation_beam = 8;
  training.save_recipe();
  Process process(training.arguments("run"), training.data / "log");
  ASSERT_TRUE(process.says("update 1/")) << process.said();
  process.send(SIGTERM);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  process.send(SIGTERM);
  EXPECT_EQ(process.wait(), 143);
  EXPECT_FALSE(training.has_checkpoint("run"))
      << "the first signal was fast enough to save: " << process.said();
}

/// Kills the training `kills` times at random moments, goes on each time, and compares with one that was left
/// alone.
void survive(int kills, unsigned seed) {
  Training training;
  training.data.recipe.training.updates = 300;
  training.data.recipe.training.save_every = 1;  // most of the time goes into saving
  training.save_recipe();
  ASSERT_EQ(training.to_the_end("whole"), 0) << training.last_words;
  std::mt19937 random(seed);
  const auto began = [&] { return std::filesystem::exists(training.data / "parts/recipe.toml"); };
  for (int i = 0; i < kills; ++i) {
    Process process(training.arguments("parts", began()), training.data / "log");
    process.says("pairs,");  // or it ends: a run that was over already
    std::this_thread::sleep_for(std::chrono::milliseconds(std::uniform_int_distribution(0, 150)(random)));
    process.send(SIGKILL);
    const int code = process.wait();
    ASSERT_TRUE(code == 1000 + SIGKILL || code == 0) << process.said();
  }
  ASSERT_EQ(training.to_the_end("parts", began()), 0) << training.last_words;
  expect_same_run(training.data / "whole", training.data / "parts");
}

TEST(Kill, F01_G01_ResumesAfterThreeRandomMoments) { survive(3, 1); }
TEST(Kill, SlowF01_G01_ResumesAfterManyRandomMoments) {
  for (unsigned seed = 2; seed < 6; ++seed) survive(12, seed);
}

TEST(FullDisk, F04_F07_AFailedSaveLeavesThePreviousCheckpoint) {
  Training training;
  training.data.recipe.training.updates = 12;
  training.save_recipe();
  ASSERT_EQ(training.to_the_end("run"), 0) << training.last_words;
  training.data.recipe.training.updates = 24;
  training.save_recipe();
  ASSERT_EQ(training.to_the_end("whole"), 0) << training.last_words;
  const auto newest = training::test::newest_checkpoint(training.data / "run");
  const auto moments = std::filesystem::file_size(newest / "training_state.safetensors");
  std::string command = "ulimit -f " + std::to_string(moments / 512 / 2) + "; exec '" FOVEA_BINARY "'";
  for (const auto& word : training.arguments("run", true)) command += " '" + word + "'";
  const int status =
      std::system(("( " + command + " ) 2> '" + (training.data / "log").string() + "'").c_str());
  const std::string said = training::test::read(training.data / "log");
  EXPECT_EQ(WEXITSTATUS(status), 5) << said;
  EXPECT_EQ(said.find("fovea: ", said.rfind("fovea: ") + 1), std::string::npos);
  EXPECT_NE(said.find("File too large"), std::string::npos) << said;
  EXPECT_EQ(training::test::newest_checkpoint(training.data / "run"), newest);
  ASSERT_EQ(training.to_the_end("run", true), 0) << training.last_words;
  EXPECT_TRUE(training::test::read(training::test::newest_checkpoint(training.data / "run") /
                                   "training_state.safetensors") ==
              training::test::read(training::test::newest_checkpoint(training.data / "whole") /
                                   "training_state.safetensors"));
}

TEST(Lock, F11_ASecondProcessIsRefusedWithThePidOfTheFirst) {
  Training training;
  training.data.recipe.training.updates = 100000;
  training.data.recipe.training.log_every = 1;
  training.save_recipe();
  Process first(training.arguments("run"), training.data / "first");
  ASSERT_TRUE(first.says("update 1/")) << first.said();
  EXPECT_EQ(training.to_the_end("run", true), 5) << training.last_words;
  EXPECT_NE(training.last_words.find("in use by another process (pid "), std::string::npos)
      << training.last_words;
  first.send(SIGKILL);
  EXPECT_EQ(first.wait(), 1000 + SIGKILL);
  training.data.recipe.training.updates = 5;  // the lock went with its process
  training.save_recipe();
  EXPECT_EQ(training.to_the_end("run", true), 0) << training.last_words;
}

}  // namespace
}  // namespace fovea::e2e
