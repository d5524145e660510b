#include <gtest/gtest.h>

#include "tests/cli/run.h"

namespace fovea::cli {
namespace {

TEST(Synthesise, WritesThreePartsThatAlignReads) {
  const test::ScratchFolder folder;
  const std::string out = folder.path("made/reversal");
  const auto result =
      run_fovea("synthesise reversal --pairs 50 --held-out 20 --max-length 6 --output " + out);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, out + ": train 50, valid 20, test 20 pairs (.source, .target, .links)\n");
  EXPECT_EQ(count(read_file(out + "/train.source"), "\n"), 50);
  EXPECT_EQ(count(read_file(out + "/test.links"), "\n"), 20);
  const auto aligned = run_fovea("align --baseline diagonal --source " + out + "/test.source --target " +
                                 out + "/test.target --gold " + out + "/test.links");
  EXPECT_EQ(aligned.code, 0) << aligned.err;
  EXPECT_CONTAINS(aligned.err, "AER ");
  const std::string first = read_file(out + "/train.source");
  run_fovea("synthesise reversal --pairs 50 --held-out 20 --max-length 6 --output " + out);
  EXPECT_EQ(read_file(out + "/train.source"), first);
  run_fovea("synthesise reversal --pairs 50 --held-out 20 --max-length 6 --seed 2 --output " + out);
  EXPECT_NE(read_file(out + "/train.source"), first);
}

TEST(Synthesise, TheDiagonalIsRightForACopy) {
  const test::ScratchFolder folder;
  const std::string out = folder.path("copy");
  EXPECT_EQ(run_fovea("synthesise copy --pairs 5 --held-out 5 --output " + out).code, 0);
  EXPECT_CONTAINS(run_fovea("align --baseline diagonal --source " + out + "/test.source --target " + out +
                            "/test.target --gold " + out + "/test.links")
                      .err,
                  "AER 0.0  precision 100.0  recall 100.0");
}

TEST(Synthesise, BadInputIsOneClearLine) {
  const test::ScratchFolder folder;
  const std::string out = " --output " + folder.path("x");
  expect_failure(run_fovea("synthesise revers" + out), 2, "unknown task 'revers'");
  expect_failure(run_fovea("synthesise copy --symbols 1" + out), 2, "1 symbols");
  expect_failure(run_fovea("synthesise copy --min-length 9 --max-length 3" + out), 2, "lengths from 9 to 3");
  expect_failure(run_fovea("synthesise copy --symbols 2 --max-length 1" + out), 2,
                 "belong to one part alone");
  EXPECT_FALSE(std::filesystem::exists(folder.path("x")));
  expect_failure(run_fovea("synthesise copy --output " + folder.write("file", "")), 5, "file");
}

}  // namespace
}  // namespace fovea::cli
