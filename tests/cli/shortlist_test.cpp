// fovea shortlist and translate --shortlist.
#include <gtest/gtest.h>

#include "tests/cli/run.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

using test::ScratchFolder;
using test::SmallModel;

class ShortlistCommand : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return shell_word((folder_ / name).string()); }
  void SetUp() override {
    std::string source, target;
    const auto from = text::sample::sentences(60, 5), to = text::sample::sentences(60, 6);
    for (std::size_t i = 0; i < from.size(); ++i) {
      source += from[i] + "\n";
      target += to[i] + "\n";
    }
    write_atomically(folder_ / "source", source);
    write_atomically(folder_ / "target", target);
  }
  RunResult shortlist(const std::string& arguments) const {
    return run_fovea("shortlist --model " + small_ + " --source " + path("source") + " --target " +
                     path("target") + " " + arguments);
  }
  RunResult translate(const std::string& arguments) const {
    return run_fovea("translate --model " + small_ + " --input " + path("source") + " " + arguments);
  }

  ScratchFolder folder_;
  std::string small_ = shell_word(SmallModel::folder().string());
};

TEST_F(ShortlistCommand, LearnsMeasuresAndTranslates) {
  const auto learnt = shortlist("--best 20 --frequent 30 --output " + path("list"));
  EXPECT_EQ(learnt.code, 0) << learnt.err;
  EXPECT_CONTAINS(learnt.out, "learnt from 60 pairs");
  const auto measured = shortlist("--check " + path("list"));
  EXPECT_EQ(measured.code, 0) << measured.err;
  EXPECT_CONTAINS(measured.out, "of 60 sentences are in the shortlist");

  const auto all = translate("--beam 2"), some = translate("--beam 2 --shortlist " + path("list"));
  EXPECT_EQ(some.code, 0) << some.err;
  EXPECT_EQ(count(some.out, "\n"), 60);
  EXPECT_NE(some.out, all.out);  // random weights want all tokens
  for (const std::string company : {"--batch 1", "--batch 7 --threads 1", "--batch 60 --threads 3"})
    EXPECT_EQ(translate("--beam 2 " + company + " --shortlist " + path("list")).out, some.out) << company;
  for (const std::string dtype : {"int8", "bf16"})
    EXPECT_EQ(translate("--dtype " + dtype + " --batch 3 --shortlist " + path("list")).out,
              translate("--dtype " + dtype + " --batch 50 --shortlist " + path("list")).out);
}

TEST_F(ShortlistCommand, APrefixMayHoldWhatIsNotInTheList) {
  ASSERT_EQ(shortlist("--best 1 --frequent 0 --output " + path("list")).code, 0);
  const auto result = translate("--prefix 'bare unge' --shortlist " + path("list"));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(count(result.out, "bare unge"), 60);
}

TEST_F(ShortlistCommand, BadInputIsOneLine) {
  expect_failure(run_fovea("shortlist --model " + small_ + " --output " + path("list")), 2,
                 "no parallel text");
  expect_failure(shortlist(""), 2, "nothing to write or to check");
  expect_failure(shortlist("--output " + path("list") + " --check " + path("list")), 2, "--check excludes");
  expect_failure(shortlist("--pairs " + path("source") + " --output " + path("list")), 2, "--pairs excludes");
  expect_failure(shortlist("--best 0 --output " + path("list")), 2, "--best");
  expect_failure(run_fovea("shortlist --model " + small_ + " --source " + path("source") + " --target " +
                           path("nothing") + " --output " + path("list")),
                 3, "nothing");
  expect_failure(translate("--shortlist " + path("list")), 4, "list");
  ASSERT_EQ(shortlist("--output " + path("list")).code, 0);
  std::filesystem::resize_file(folder_ / "list", std::filesystem::file_size(folder_ / "list") - 4);
  expect_failure(translate("--shortlist " + path("list")), 4, "list");
  expect_failure(run_fovea("translate --model " + small_ + " --shortlist " +
                           shell_word((SmallModel::folder() / "model.safetensors").string()) + " dog"),
                 4, "is not a shortlist");
}

TEST_F(ShortlistCommand, TextThatTeachesNothingIsSaid) {
  write_atomically(folder_ / "source", "\n\n");
  write_atomically(folder_ / "target", "\n\n");
  expect_failure(shortlist("--output " + path("list")), 3, "source");
}

}  // namespace
}  // namespace fovea::cli
