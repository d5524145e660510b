// What a new user sees first: `fovea translate` without a model.
#include <gtest/gtest.h>

#include "tests/cli/run.h"

namespace fovea::cli {
namespace {

TEST(BundledModel, TranslatesEverydaySentences) {
  struct Pair {
    const char *english, *german;
  };
  for (const auto& [english, german] :
       {Pair{"Two men are riding bicycles.", "Zwei Männer fahren Fahrrad.\n"},
        Pair{"Good morning! How are you?", "Guten Morgen! Wie geht es dir?\n"},
        Pair{"I don't know where Tom lives.", "Ich weiß nicht, wo Tom wohnt.\n"}}) {
    const auto result = run_fovea("translate " + shell_word(english));
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out, german);
    EXPECT_EQ(result.err, "");
  }
}

TEST(BundledModel, IsWhole) {
  const auto result =
      run_fovea("inspect --check " + shell_word(std::string(FOVEA_SOURCE_DIR) + "/models/tatoeba-en-de"));
  EXPECT_EQ(result.code, 0) << result.err << result.out;
}

}  // namespace
}  // namespace fovea::cli
