#include "fovea/data/batcher.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "fovea/base/random.h"
#include "tests/base/scratch.h"

namespace fovea::data {
namespace {

using test::expect_error;

using Ids = std::vector<std::int32_t>;
constexpr std::int32_t eos = 0, start = 1;

// Pair i holds id 10 + i throughout, on both sides.
TokenCorpus random_corpus(int pairs, std::uint32_t longest) {
  TokenCorpus corpus;
  const auto key = RandomKey::of(42, 0, 99);
  for (int i = 0; i < pairs; ++i) {
    const auto element = static_cast<std::uint64_t>(2 * i);
    corpus.add(Ids(1 + below(key, element, longest), 10 + i),
               Ids(1 + below(key, element + 1, longest), 10 + i));
  }
  return corpus;
}

BatcherOptions options(std::int64_t batch_tokens, std::uint64_t seed = 1) {
  return {.batch_tokens = batch_tokens, .seed = seed, .window = 10, .eos = eos, .decoder_start = start};
}

std::vector<Batch> take(Batcher& batcher, std::int64_t count) {
  std::vector<Batch> batches;
  for (std::int64_t i = 0; i < count; ++i) batches.push_back(batcher.next());
  return batches;
}

std::vector<std::int64_t> order_of(const std::vector<Batch>& batches) {
  std::vector<std::int64_t> order;
  for (const auto& batch : batches) order.insert(order.end(), batch.pairs.begin(), batch.pairs.end());
  return order;
}

TEST(Batcher, PacksSentencesWithoutPadding) {
  TokenCorpus corpus;
  corpus.add(Ids{10, 11}, Ids{20});
  corpus.add(Ids{12}, Ids{21, 22, 23});
  auto settings = options(100);
  settings.shuffle = false;
  const Batch batch = Batcher(corpus, settings).next();
  EXPECT_EQ(batch.source, (Ids{10, 11, eos, 12, eos}));
  EXPECT_EQ(batch.target_in, (Ids{start, 20, start, 21, 22, 23}));
  EXPECT_EQ(batch.target_out, (Ids{20, eos, 21, 22, 23, eos}));
  EXPECT_EQ(batch.source_start, (Ids{0, 3, 5}));
  EXPECT_EQ(batch.target_start, (Ids{0, 2, 6}));
  EXPECT_EQ(batch.pairs, (std::vector<std::int64_t>{0, 1}));
}

TEST(Batcher, EveryPairOncePerEpochWithinTheBound) {
  const TokenCorpus corpus = random_corpus(3000, 40);
  for (const bool shuffle : {true, false}) {
    auto settings = options(300);
    settings.shuffle = shuffle;
    Batcher batcher(corpus, settings);
    for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
      const auto batches = take(batcher, batcher.batches_in_epoch());
      auto order = order_of(batches);
      std::sort(order.begin(), order.end());
      ASSERT_EQ(order.size(), 3000u);
      for (std::size_t i = 0; i < order.size(); ++i) ASSERT_EQ(order[i], static_cast<std::int64_t>(i));
      for (std::size_t b = 0; b < batches.size(); ++b) {
        EXPECT_EQ(batches[b].epoch, epoch);
        EXPECT_EQ(batches[b].index, static_cast<std::int64_t>(b));
        EXPECT_LE(std::max(batches[b].source.size(), batches[b].target_out.size()), 300u);
        EXPECT_EQ(batches[b].source.front(), 10 + batches[b].pairs.front());
      }
      EXPECT_EQ(batcher.position(), (BatchPosition{epoch + 1, 0}));
    }
  }
}

TEST(Batcher, BatchesAreFullAndOfLikeLength) {
  const TokenCorpus corpus = random_corpus(20000, 40);
  Batcher batcher(corpus, {.batch_tokens = 2000, .window = 100});
  const auto batches = take(batcher, batcher.batches_in_epoch());
  std::int64_t tokens = 0, spread = 0;
  for (const auto& batch : batches) {
    tokens += static_cast<std::int64_t>(std::max(batch.source.size(), batch.target_out.size()));
    std::int64_t shortest = 1000, longest = 0;
    for (const auto pair : batch.pairs) {
      shortest = std::min(shortest, corpus.target_length(pair));
      longest = std::max(longest, corpus.target_length(pair));
    }
    spread += longest - shortest;
  }
  const auto count = static_cast<double>(batches.size());
  EXPECT_GT(static_cast<double>(tokens) / count, 0.9 * 2000);
  EXPECT_LT(static_cast<double>(spread) / count, 3.0);  // tokens, of a range of 40
}

TEST(Batcher, OrderIsAFunctionOfSeedAndEpoch) {
  const TokenCorpus corpus = random_corpus(1000, 20);
  Batcher first(corpus, options(200)), again(corpus, options(200)), other(corpus, options(200, 2));
  const std::int64_t count = first.batches_in_epoch();
  const auto order = order_of(take(first, count));
  EXPECT_EQ(order, order_of(take(again, count)));
  EXPECT_NE(order, order_of(take(other, count)));
  EXPECT_NE(order, order_of(take(first, count)));  // the second epoch
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
}

TEST(Batcher, BatchesComeInRandomOrderOfLength) {
  const TokenCorpus corpus = random_corpus(5000, 40);
  Batcher batcher(corpus, options(400));
  const auto batches = take(batcher, batcher.batches_in_epoch());
  std::size_t rises = 0;
  for (std::size_t b = 1; b < batches.size(); ++b)
    rises += batches[b].pairs.size() > batches[b - 1].pairs.size();
  EXPECT_NEAR(static_cast<double>(rises) / static_cast<double>(batches.size()), 0.5, 0.1);
}

TEST(Batcher, G01_SeekGoesOnAsIfNeverStopped) {
  const TokenCorpus corpus = random_corpus(800, 20);
  Batcher whole(corpus, options(200));
  const std::int64_t count = whole.batches_in_epoch();
  const auto batches = take(whole, 3 * count);
  for (const std::int64_t at :
       {std::int64_t{0}, std::int64_t{1}, count - 1, count, count + 1, 2 * count + 7}) {
    Batcher walked(corpus, options(200)), resumed(corpus, options(200));
    take(walked, at);
    resumed.seek(walked.position());
    for (std::int64_t i = at; i < at + 3; ++i) {
      const Batch batch = resumed.next();
      const Batch& expected = batches[static_cast<std::size_t>(i)];
      EXPECT_EQ(batch.pairs, expected.pairs);
      EXPECT_EQ(batch.source, expected.source);
      EXPECT_EQ(batch.epoch, expected.epoch);
      EXPECT_EQ(batch.index, expected.index);
    }
  }
}

TEST(Batcher, G06_SeekRefusesAPositionThatIsNotThere) {
  const TokenCorpus corpus = random_corpus(100, 20);
  Batcher batcher(corpus, options(200));
  const std::int64_t count = batcher.batches_in_epoch();
  batcher.seek({0, count});
  EXPECT_EQ(batcher.position(), (BatchPosition{1, 0}));
  expect_error(
      Error::Kind::data,
      [&] {
        batcher.seek({0, count + 1});
      },
      std::to_string(count + 1), "has " + std::to_string(count));
  expect_error(
      Error::Kind::data,
      [&] {
        batcher.seek({0, -1});
      },
      "batch -1");
  expect_error(
      Error::Kind::data,
      [&] {
        batcher.seek({-1, 0});
      },
      "epoch -1");
}

TEST(Batcher, ASentenceLongerThanABatchIsABatchOfItsOwn) {
  TokenCorpus corpus;
  for (int i = 0; i < 20; ++i) corpus.add(Ids(3, 5), Ids(3, 5));
  corpus.add(Ids(500, 6), Ids(2, 6));
  Batcher batcher(corpus, options(20));
  int long_ones = 0;
  for (const auto& batch : take(batcher, batcher.batches_in_epoch())) {
    if (batch.source.size() <= 20) continue;
    ++long_ones;
    EXPECT_EQ(batch.size(), 1);
  }
  EXPECT_EQ(long_ones, 1);
}

TEST(Batcher, I11_EmptyCorpusAndBadOptionsAreErrors) {
  const TokenCorpus empty, one = random_corpus(1, 3);
  expect_error(
      Error::Kind::data, [&] { Batcher(empty, options(10)); }, "no sentence pair");
  expect_error(
      Error::Kind::usage, [&] { Batcher(one, options(0)); }, "batch_tokens");
  expect_error(
      Error::Kind::usage, [&] { Batcher(one, {.window = 0}); }, "window");
  Batcher batcher(one, options(1));
  EXPECT_EQ(take(batcher, 3).back().epoch, 2);
}

// Measures rather than asserts a tight time: other work shares the machine.
TEST(Batcher, AnEpochOf150000PairsIsPlannedQuickly) {
  const TokenCorpus corpus = random_corpus(150000, 30);
  Batcher batcher(corpus, {.batch_tokens = 4096});
  double best = 1e9;
  for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
    const auto begin = std::chrono::steady_clock::now();
    batcher.seek({epoch, 0});
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count());
  }
  RecordProperty("milliseconds", std::to_string(best));
  EXPECT_LT(best, 1000.0);
}

}  // namespace
}  // namespace fovea::data
