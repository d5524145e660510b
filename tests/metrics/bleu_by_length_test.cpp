#include "fovea/metrics/bleu_by_length.h"

#include <gtest/gtest.h>

#include "fovea/base/error.h"

namespace fovea::metrics {
namespace {

std::string repeated(const std::string& word, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += (i ? " " : "") + word + std::to_string(i);
  return out;
}

/// `counts[n]` sources of n + 1 words each; translations are right up to `good` words and wrong beyond.
struct Text {
  std::vector<std::string> sources, hypotheses;
  References references{{}};
};
Text text_of(const std::vector<std::size_t>& counts, std::size_t good) {
  Text text;
  for (std::size_t n = 0; n < counts.size(); ++n)
    for (std::size_t k = 0; k < counts[n]; ++k) {
      text.sources.push_back(repeated("s", n + 1));
      text.references[0].push_back(repeated("t", n + 4));
      text.hypotheses.push_back(repeated(n < good ? "t" : "x", n + 4));
    }
  return text;
}

TEST(BleuByLength, BucketsHoldTheSourcesOfTheirLengths) {
  const Text text = text_of({3, 4, 5, 2, 2, 6, 7}, 5);
  const auto buckets = bleu_by_length(text.sources, text.hypotheses, text.references, {}, {5, 1});
  ASSERT_EQ(buckets.size(), 2u);
  EXPECT_EQ(buckets[0].shortest, 1u);
  EXPECT_EQ(buckets[0].longest, 5u);
  EXPECT_EQ(buckets[0].segments, 16u);
  EXPECT_DOUBLE_EQ(buckets[0].mean_length, (3 + 8 + 15 + 8 + 10) / 16.0);
  EXPECT_NEAR(buckets[0].bleu.score, 100, 1e-9);
  EXPECT_EQ(buckets[1].shortest, 6u);
  EXPECT_EQ(buckets[1].longest, 10u);
  EXPECT_EQ(buckets[1].segments, 13u);
  EXPECT_LT(buckets[1].bleu.score, 1);
}

TEST(BleuByLength, OfOneBucketIsTheCorpusScore) {
  const Text text = text_of({1, 2, 3, 4}, 3);
  const auto buckets = bleu_by_length(text.sources, text.hypotheses, text.references, {}, {100, 1});
  ASSERT_EQ(buckets.size(), 1u);
  EXPECT_EQ(buckets[0].bleu.score, corpus_bleu(text.hypotheses, text.references).score);
}

TEST(BleuByLength, SmallBucketsAreJoinedSoThatEachCanBeTrusted) {
  const Text text = text_of({10, 2, 9, 12, 0, 0, 3}, 9);
  const auto buckets = bleu_by_length(text.sources, text.hypotheses, text.references, {}, {1, 10});
  ASSERT_EQ(buckets.size(), 3u);  // 1; 2 with 3; 4 with 7
  EXPECT_EQ(buckets[1].shortest, 2u);
  EXPECT_EQ(buckets[1].longest, 3u);
  EXPECT_EQ(buckets[1].segments, 11u);
  EXPECT_EQ(buckets[2].shortest, 4u);
  EXPECT_EQ(buckets[2].longest, 7u);
  EXPECT_EQ(buckets[2].segments, 15u);
}

TEST(BleuByLength, LengthIsInTokensAndChineseCharacters) {
  EXPECT_EQ(source_length("The dog runs."), 4u);
  EXPECT_EQ(source_length("我是学生。"), 5u);
  EXPECT_EQ(source_length("  "), 0u);
  EXPECT_EQ(source_length(""), 0u);
}

TEST(BleuByLength, EmptySourcesAreLeftOut) {
  const auto buckets = bleu_by_length({"", "a b"}, {"x", "a b c d"}, {{"y", "a b c d"}}, {}, {5, 1});
  ASSERT_EQ(buckets.size(), 1u);
  EXPECT_EQ(buckets[0].segments, 1u);
  EXPECT_TRUE(bleu_by_length({""}, {"x"}, {{"y"}}).empty());
}

TEST(BleuByLength, LinesMustBelongTogether) {
  EXPECT_THROW(bleu_by_length({"a"}, {"a", "b"}, {{"a", "b"}}), Error);
  EXPECT_THROW(bleu_by_length({"a"}, {"a"}, {{"a", "b"}}), Error);
  EXPECT_THROW(bleu_by_length({}, {}, {{}}), Error);
}

}  // namespace
}  // namespace fovea::metrics
