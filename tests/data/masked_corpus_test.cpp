#include "fovea/data/masked_corpus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace fovea::data {
namespace {

using Ids = std::vector<std::int32_t>;
constexpr std::int32_t mask = 4;

// Texts of `words` words of one to three tokens, ids from 10 to 59.
MaskedCorpus corpus_of(int texts, int words, std::int64_t most = 32) {
  MaskedCorpus corpus({.front = {2}, .back = {3}, .most = most});
  for (int text = 0; text < texts; ++text) {
    Ids ids;
    std::vector<std::uint8_t> begins;
    for (int word = 0; word < words; ++word)
      for (int piece = 0; piece <= word % 3; ++piece) {
        ids.push_back(10 + (text + 7 * word + piece) % 50);
        begins.push_back(piece == 0);
      }
    corpus.add(ids, begins);
  }
  return corpus;
}

Masking masking_with(bool whole_words) {
  Masking masking{.whole_words = whole_words, .mask = mask, .others = {}, .seed = 5};
  for (std::int32_t id = 10; id < 60; ++id) masking.others.push_back(id);
  return masking;
}

MaskedBatch all_of(const MaskedCorpus& corpus, const Masking& masking, std::uint32_t epoch) {
  MaskedBatch batch;
  for (std::int64_t i = 0; i < corpus.size(); ++i) batch.append(corpus, i, masking, epoch);
  return batch;
}

TEST(MaskedCorpus, PiecesEndBeforeAWord) {
  MaskedCorpus corpus({.front = {2}, .back = {3}, .most = 6});
  corpus.add(Ids{10, 11, 12, 13, 14, 15, 16}, std::vector<std::uint8_t>{1, 0, 1, 0, 0, 1, 0});
  ASSERT_EQ(corpus.size(), 3);
  EXPECT_TRUE(std::ranges::equal(corpus.tokens(0), Ids{2, 10, 11, 3}));
  EXPECT_TRUE(std::ranges::equal(corpus.tokens(1), Ids{2, 12, 13, 14, 3}));
  EXPECT_TRUE(std::ranges::equal(corpus.kinds(1), Ids{0, 1, 2, 2, 0}));
  EXPECT_EQ(corpus.offset(2), 9);
  corpus.add(Ids{20, 21, 22, 23, 24}, std::vector<std::uint8_t>{1, 0, 0, 0, 0});
  EXPECT_TRUE(std::ranges::equal(corpus.tokens(3), Ids{2, 20, 21, 22, 23, 3}))
      << "a word longer than a piece";
  corpus.add(Ids{}, std::vector<std::uint8_t>{});
  EXPECT_EQ(corpus.size(), 5);
}

TEST(Masking, SharesAreThoseOfBert) {
  const auto corpus = corpus_of(400, 40, 128);
  for (const bool whole_words : {false, true}) {
    const auto batch = all_of(corpus, masking_with(whole_words), 0);
    const auto maskable = static_cast<double>(corpus.token_count() - 2 * corpus.size());
    const auto chosen = static_cast<double>(batch.rows.size());
    EXPECT_NEAR(chosen / maskable, 0.15, 0.01);
    double masked = 0, kept = 0;
    for (std::size_t r = 0; r < batch.rows.size(); ++r) {
      const auto now = batch.tokens[static_cast<std::size_t>(batch.rows[r])];
      masked += now == mask;
      kept += now == batch.targets[r];
    }
    EXPECT_NEAR(masked / chosen, 0.8, 0.02);
    EXPECT_NEAR(kept / chosen, 0.1 + 0.1 / 50, 0.02);
  }
}

TEST(Masking, WhatIsNotChosenStaysAndFramesAreNeverChosen) {
  const auto corpus = corpus_of(50, 20);
  const auto batch = all_of(corpus, masking_with(false), 3);
  Ids whole;
  for (std::int64_t i = 0; i < corpus.size(); ++i) {
    const auto piece = corpus.tokens(i);
    whole.insert(whole.end(), piece.begin(), piece.end());
  }
  ASSERT_EQ(batch.tokens.size(), whole.size());
  const std::set<std::int32_t> chosen(batch.rows.begin(), batch.rows.end());
  for (std::size_t t = 0; t < whole.size(); ++t) {
    const bool is_chosen = chosen.contains(static_cast<std::int32_t>(t));
    EXPECT_TRUE(is_chosen || batch.tokens[t] == whole[t]);
    EXPECT_FALSE(is_chosen && whole[t] < 10);
  }
  for (std::size_t r = 0; r < batch.rows.size(); ++r)
    EXPECT_EQ(batch.targets[r], whole[static_cast<std::size_t>(batch.rows[r])]);
}

TEST(Masking, WholeWordsAreChosenTogether) {
  const auto corpus = corpus_of(100, 20);
  const auto batch = all_of(corpus, masking_with(true), 0);
  const std::set<std::int32_t> chosen(batch.rows.begin(), batch.rows.end());
  std::int32_t at = 0;
  for (std::int64_t i = 0; i < corpus.size(); ++i)
    for (const auto kind : corpus.kinds(i)) {
      const bool apart = kind != MaskedCorpus::goes_on;
      EXPECT_TRUE(apart || chosen.contains(at) == chosen.contains(at - 1)) << i << " " << at;
      ++at;
    }
}

TEST(Masking, EpochsDrawAnewAndBatchesDoNotMatter) {
  const auto corpus = corpus_of(60, 12);
  const auto masking = masking_with(false);
  const auto first = all_of(corpus, masking, 0);
  EXPECT_EQ(first.tokens, all_of(corpus, masking, 0).tokens);
  EXPECT_NE(first.rows, all_of(corpus, masking, 1).rows);
  MaskedBatch alone;
  alone.append(corpus, 17, masking, 0);
  const auto begin = first.tokens.begin() + first.start[17];
  EXPECT_TRUE(std::equal(alone.tokens.begin(), alone.tokens.end(), begin));
  MaskedBatcher batcher(corpus, masking, 100), resumed(corpus, masking, 100);
  for (int i = 0; i < 9; ++i) batcher.next();
  resumed.seek(batcher.position());
  EXPECT_EQ(resumed.next().tokens, batcher.next().tokens);
}

TEST(Masking, EachPieceHasSomethingToPredict) {
  MaskedCorpus corpus({.front = {2}, .back = {3}, .most = 8});
  for (int i = 0; i < 200; ++i) corpus.add(Ids{10, 11}, std::vector<std::uint8_t>{1, 0});
  for (const bool whole_words : {false, true}) {
    const auto masking = masking_with(whole_words);
    for (std::int64_t i = 0; i < corpus.size(); ++i) {
      MaskedBatch batch;
      batch.append(corpus, i, masking, 0);
      EXPECT_GE(batch.rows.size(), whole_words ? 2u : 1u);
    }
  }
}

}  // namespace
}  // namespace fovea::data
