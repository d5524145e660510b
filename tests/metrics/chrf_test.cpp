#include "fovea/metrics/chrf.h"

#include <gtest/gtest.h>

#include "fovea/base/error.h"

namespace fovea::metrics {
namespace {

TEST(Chrf, ByHand) {
  // "ab" against "ac": order 1: 1 of 2 and 1 of 2, order 2: 0 of 1. P = R = 1/4, F = 25.
  EXPECT_NEAR(corpus_chrf({"ab"}, {{"ac"}}).score, 25.0, 1e-12);
  // "a" against "ab": order 1 only (the hypothesis has no other). P = 1, R = 1/2, F2 = 5 * 0.5 / (4 + 0.5).
  EXPECT_NEAR(corpus_chrf({"a"}, {{"ab"}}).score, 100 * 2.5 / 4.5, 1e-12);
}

TEST(Chrf, OptionsChangeTheAnswer) {
  const std::vector<std::string> hypothesis{"The Cat sat, there."};
  const References reference{{"the cat (sat) over there!"}};
  const auto plain = corpus_chrf(hypothesis, reference);
  for (const ChrfOptions& options :
       {ChrfOptions{.character_order = 4}, ChrfOptions{.word_order = 2}, ChrfOptions{.beta = 1},
        ChrfOptions{.lowercase = true}, ChrfOptions{.whitespace = true},
        ChrfOptions{.epsilon_smoothing = true}}) {
    EXPECT_NE(corpus_chrf(hypothesis, reference, options).score, plain.score);
  }
  EXPECT_EQ(chrf_signature({.character_order = 4,
                            .word_order = 1,
                            .lowercase = true,
                            .whitespace = true,
                            .epsilon_smoothing = true},
                           3, "2.6.0"),
            "nrefs:3|case:lc|eff:no|nc:4|nw:1|space:yes|version:2.6.0");
}

TEST(Chrf, PartsOneMarkOfPunctuationFromAWord) {
  // "(hi)" is "(hi" and ")", so only ")" matches ")": word precision 1/2, not 0 and not 1.
  const auto statistics = chrf_statistics("(hi)", {"hi )"}, {.character_order = 0, .word_order = 1});
  EXPECT_EQ(statistics[0].hypothesis, 2);
  EXPECT_EQ(statistics[0].matches, 1);
}

TEST(Chrf, TakesTheBestReference) {
  EXPECT_EQ(corpus_chrf({"abc"}, {{"xyz"}, {"abc"}}).score, 100.0);
  EXPECT_EQ(corpus_chrf({""}, {{"abc"}}).score, 0.0);
  EXPECT_EQ(corpus_chrf({"abc"}, {{"abc"}}).text("s", 1), "chrF2|s = 100.0");
}

TEST(Chrf, SaysWhatIsWrong) {
  EXPECT_THROW(corpus_chrf({"a", "b"}, {{"a"}}), Error);
  EXPECT_THROW(sentence_chrf("a", {}), Error);
}

}  // namespace
}  // namespace fovea::metrics
