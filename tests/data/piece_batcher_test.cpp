#include "fovea/data/piece_batcher.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>

#include "fovea/base/error.h"

namespace fovea::data {
namespace {

using Ids = std::vector<std::int32_t>;

// Documents of these lengths; every token of the corpus is another number.
DocumentCorpus corpus_of(const std::vector<int>& lengths) {
  DocumentCorpus corpus;
  std::int32_t next = 0;
  for (const int length : lengths) {
    Ids ids(static_cast<std::size_t>(length));
    std::iota(ids.begin(), ids.end(), next);
    next += length;
    corpus.add(ids);
  }
  return corpus;
}

std::vector<PieceBatch> epoch_of(PieceBatcher& batcher, std::int64_t epoch) {
  batcher.seek({epoch, 0});
  std::vector<PieceBatch> batches;
  for (std::int64_t left = batcher.batches_in_epoch(); left > 0; --left) batches.push_back(batcher.next());
  return batches;
}

TEST(PieceBatcher, PredictsEveryTokenButTheFirstOnceAnEpoch) {
  const auto corpus = corpus_of({5, 100, 2, 37, 1, 8, 9});
  EXPECT_EQ(corpus.left_out(), 1);
  PieceBatcher batcher(corpus, {.batch_tokens = 20, .piece = 8});
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::map<std::int32_t, int> predicted;
    for (const auto& batch : epoch_of(batcher, epoch)) {
      EXPECT_EQ(batch.epoch, epoch);
      ASSERT_EQ(batch.tokens.size(), batch.next.size());
      ASSERT_EQ(batch.start.back(), std::ssize(batch.tokens));
      EXPECT_LE(batch.tokens.size(), 20u);
      for (std::size_t i = 0; i + 1 < batch.start.size(); ++i) {
        EXPECT_LE(batch.start[i + 1] - batch.start[i], 8);
        for (auto n = static_cast<std::size_t>(batch.start[i]); std::cmp_less(n, batch.start[i + 1]); ++n) {
          EXPECT_EQ(batch.next[n], batch.tokens[n] + 1);  // within one document
          ++predicted[batch.next[n]];
        }
      }
    }
    EXPECT_EQ(std::ssize(predicted), corpus.predicted());
    for (const auto& [token, times] : predicted) EXPECT_EQ(times, 1) << token;
    EXPECT_FALSE(predicted.contains(0));
    EXPECT_FALSE(predicted.contains(5));  // the first of the second document
  }
}

TEST(PieceBatcher, CutsLongDocumentsElsewhereInEachEpoch) {
  const auto corpus = corpus_of({1000});
  PieceBatcher batcher(corpus, {.batch_tokens = 64, .piece = 64});
  std::set<std::int32_t> first_of_epoch;
  for (int epoch = 0; epoch < 8; ++epoch) {
    std::int32_t least_cut = 1000;
    for (const auto& batch : epoch_of(batcher, epoch))
      for (std::size_t i = 0; i + 1 < batch.start.size(); ++i)
        if (const auto token = batch.tokens[static_cast<std::size_t>(batch.start[i])]; token > 0)
          least_cut = std::min(least_cut, token);
    first_of_epoch.insert(least_cut);
  }
  EXPECT_GT(first_of_epoch.size(), 4u);
}

TEST(PieceBatcher, GoesOnWhereItIsSentTo) {
  const auto corpus = corpus_of({300, 20, 45});
  PieceBatcher whole(corpus, {.batch_tokens = 32, .piece = 16}),
      sent(corpus, {.batch_tokens = 32, .piece = 16});
  for (int i = 0; i < 17; ++i) whole.next();
  sent.seek(whole.position());
  for (int i = 0; i < 20; ++i) {
    const auto a = whole.next(), b = sent.next();
    EXPECT_EQ(a.tokens, b.tokens);
    EXPECT_EQ(a.start, b.start);
    EXPECT_EQ(a.epoch, b.epoch);
  }
  EXPECT_THROW(sent.seek({0, 1000}), Error);
}

TEST(PieceBatcher, InOrderForValidation) {
  const auto corpus = corpus_of({10, 3});
  PieceBatcher batcher(corpus, {.batch_tokens = 100, .piece = 4, .shuffle = false});
  const auto batch = batcher.next();
  EXPECT_EQ(batch.start, (Ids{0, 4, 8, 9, 11}));
  EXPECT_EQ(batch.tokens, (Ids{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11}));
}

TEST(PieceBatcher, SaysWhatIsWrong) {
  EXPECT_THROW(PieceBatcher(DocumentCorpus(), {}), Error);
  const auto corpus = corpus_of({10});
  EXPECT_THROW(PieceBatcher(corpus, {.piece = 0}), Error);
  EXPECT_THROW(PieceBatcher(corpus, {.batch_tokens = 0}), Error);
}

TEST(DocumentCorpus, AFingerprintTellsOtherDocumentsApart) {
  const auto print = [](const std::vector<int>& lengths) { return corpus_of(lengths).fingerprint(); };
  EXPECT_EQ(print({5, 6}), print({5, 6}));
  EXPECT_NE(print({5, 6}), print({6, 5}));  // the same tokens, cut otherwise
}

}  // namespace
}  // namespace fovea::data
