// From plain text to a masked language model, and from that to models that begin with it: by commands alone.
#include <gtest/gtest.h>

#include "tests/cli/run.h"

namespace fovea::cli {
namespace {

using fovea::test::ScratchFolder;

class EncoderTraining : public testing::Test {
 protected:
  RunResult train(const std::string& name, const std::string& recipe) const {
    const std::string path = folder_.write(name + ".toml", recipe);
    const auto result =
        run_fovea("train --threads 1 " + shell_word(path) + " --data " + shell_word(folder_.path().string()) +
                  " --output " + shell_word(folder_.path(name)));
    EXPECT_EQ(result.code, 0) << result.err;
    return result;
  }
  RunResult ask(const std::string& command, const std::string& name, const std::string& rest) const {
    return run_fovea(command + " --threads 1 --model " + shell_word(folder_.path(name)) + " " + rest);
  }

  ScratchFolder folder_;
};

TEST_F(EncoderTraining, AMaskedModelFillsAndOthersBeginWithIt) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += i % 2 ? "the cat sat on the mat .\n" : "the dog lay on the rug .\n";
  folder_.write("text.txt", text);
  const auto masked =
      train("masked",
            "task = \"masked_language_model\"\n[data]\ntrain = [\"text.txt\"]\nvalid_share = 0.2\n"
            "documents = \"lines\"\n[model]\npreset = \"custom\"\nlayers = 1\nwidth = 16\nheads = 2\n"
            "feed_forward = 32\nmax_positions = 16\n[training]\nupdates = 20\nbatch_tokens = 200\n"
            "validate_every = 10\nsave_every = 10\nlog_every = 10\n");
  EXPECT_CONTAINS(masked.err, "validation perplexity ");
  EXPECT_CONTAINS(masked.err, ", masked accuracy ");
  EXPECT_CONTAINS(masked.err, " tok/s");
  const auto filled = ask("fill", "masked", "'the [MASK] sat on the mat .'");
  EXPECT_EQ(filled.code, 0) << filled.err;
  EXPECT_EQ(count(filled.out, "\n"), 1);
  EXPECT_CONTAINS(run_fovea("inspect " + shell_word(folder_.path("masked"))).out, "masked accuracy");

  const std::string init = "init = '" + folder_.path("masked") + "'\n";
  const std::string training =
      "[training]\nupdates = 10\nbatch_tokens = 100\nvalidate_every = 5\nsave_every = 5\n"
      "log_every = 5\n";
  folder_.write("train.tsv", "the cat sat\tcat\nthe dog lay\tdog\na cat\tcat\na dog\tdog\n");
  const auto classifier =
      train("classifier", "task = \"classification\"\n" + init +
                              "[data]\ntrain_tsv = \"train.tsv\"\nvalid_tsv = \"train.tsv\"\n" + training);
  EXPECT_CONTAINS(classifier.err, " texts/s");
  EXPECT_CONTAINS(classifier.err, "validation loss ");
  EXPECT_EQ(ask("classify", "classifier", "'the cat'").code, 0);

  folder_.write("train.conll", "the O\ncat B-PET\nsat O\n\nthe O\ndog B-PET\n");
  const auto tagger =
      train("tagger", "task = \"token_classification\"\n" + init +
                          "[data]\ntrain = \"train.conll\"\nvalid = \"train.conll\"\n" + training);
  EXPECT_CONTAINS(tagger.err, " words/s");
  EXPECT_CONTAINS(tagger.err, "entity F1 ");
  EXPECT_EQ(count(ask("classify", "tagger", "--words 'the cat sat'").out, "\n"), 4);
  EXPECT_CONTAINS(ask("evaluate", "tagger", "--data " + shell_word(folder_.path("train.conll"))).out,
                  "accuracy ");
}

}  // namespace
}  // namespace fovea::cli
