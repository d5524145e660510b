#include "fovea/metrics/alignment.h"

#include <gtest/gtest.h>

namespace fovea::metrics {
namespace {

using text::Alignment;
using text::parse_alignment;

TEST(AlignmentErrorRate, CountsAsOchAndNeyDo) {
  const auto gold = parse_alignment("0-0 1-1 2?2 3?2", "gold:1");
  const Alignment found{{0, 0}, {2, 2}, {1, 0}};
  const auto counts = alignment_counts(found, gold);
  EXPECT_EQ(counts.links, 3);
  EXPECT_EQ(counts.sure, 2);
  EXPECT_EQ(counts.links_sure, 1);
  EXPECT_EQ(counts.links_possible, 2);
  const auto score = alignment_score(counts);
  EXPECT_DOUBLE_EQ(score.precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(score.recall, 1.0 / 2);
  EXPECT_DOUBLE_EQ(score.error_rate, 1 - (1.0 + 2.0) / (3 + 2));
}

TEST(AlignmentErrorRate, AllSureLinksWithSomePossibleOnesAreWithoutError) {
  const auto gold = parse_alignment("0-0 1-1 2?2 3?2", "gold:1");
  for (const Alignment& found : {gold.sure, gold.possible}) {
    const auto score = alignment_score(alignment_counts(found, gold));
    EXPECT_EQ(score.precision, 1);
    EXPECT_EQ(score.recall, 1);
    EXPECT_EQ(score.error_rate, 0);
  }
}

TEST(AlignmentErrorRate, IsOneMinusFWhenAllLinksAreSure) {
  const auto gold = parse_alignment("0-0 1-1 2-2", "gold:1");
  const auto score = alignment_score(alignment_counts({{0, 0}, {1, 1}, {0, 1}, {1, 0}}, gold));
  const double f = 2 * score.precision * score.recall / (score.precision + score.recall);
  EXPECT_NEAR(score.error_rate, 1 - f, 1e-15);
}

TEST(AlignmentErrorRate, IsOfTheCorpusNotTheMeanOfSentences) {
  AlignmentCounts sum = alignment_counts({{0, 0}}, parse_alignment("0-0", "gold:1"));
  sum += alignment_counts({{0, 1}, {1, 0}, {2, 2}}, parse_alignment("0-0 1-1 2-2", "gold:2"));
  EXPECT_DOUBLE_EQ(alignment_score(sum).error_rate, 1 - 4.0 / 8);  // the mean would be (0 + 2/3) / 2
}

TEST(AlignmentErrorRate, OfNothing) {
  EXPECT_EQ(alignment_score({}).error_rate, 0);
  EXPECT_EQ(alignment_score({}).precision, 1);
  const auto silent = alignment_score(alignment_counts({}, parse_alignment("0-0", "gold:1")));
  EXPECT_EQ(silent.precision, 1);
  EXPECT_EQ(silent.recall, 0);
  EXPECT_EQ(silent.error_rate, 1);
  EXPECT_EQ(alignment_score(alignment_counts({{0, 0}}, {})).error_rate, 1);
}

}  // namespace
}  // namespace fovea::metrics
