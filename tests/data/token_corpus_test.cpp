#include "fovea/data/token_corpus.h"

#include <set>

#include "tests/base/scratch.h"

namespace fovea::data {
namespace {

using test::expect_error;

using Ids = std::vector<std::int32_t>;

Ids ids_of(std::span<const std::int32_t> ids) { return {ids.begin(), ids.end()}; }

std::uint64_t fingerprint(const std::vector<std::pair<Ids, Ids>>& pairs) {
  TokenCorpus corpus;
  for (const auto& [source, target] : pairs) corpus.add(source, target);
  return corpus.fingerprint();
}

TEST(TokenCorpus, KeepsPairsFlat) {
  TokenCorpus corpus;
  EXPECT_TRUE(corpus.add(Ids{1, 2, 3}, Ids{4}));
  EXPECT_FALSE(corpus.add(Ids{}, Ids{4}));
  EXPECT_FALSE(corpus.add(Ids{4}, Ids{}));
  EXPECT_TRUE(corpus.add(Ids{5}, Ids{6, 7}));
  ASSERT_EQ(corpus.size(), 2);
  EXPECT_EQ(ids_of(corpus.source(0)), (Ids{1, 2, 3}));
  EXPECT_EQ(ids_of(corpus.target(0)), Ids{4});
  EXPECT_EQ(ids_of(corpus.source(1)), Ids{5});
  EXPECT_EQ(ids_of(corpus.target(1)), (Ids{6, 7}));
  const auto& statistics = corpus.statistics();
  EXPECT_EQ(statistics.empty, 2);
  EXPECT_EQ(statistics.source_tokens, 4);
  EXPECT_EQ(statistics.target_tokens, 3);
  EXPECT_EQ(statistics.longest_source, 3);
  EXPECT_EQ(statistics.longest_target, 2);
}

TEST(TokenCorpus, I11_OverLongPairsAreDroppedAndNamed) {
  TokenCorpus corpus(4);  // three tokens and the end of the sentence
  EXPECT_FALSE(corpus.add(Ids{1, 2, 3, 4}, Ids{1}));
  EXPECT_FALSE(corpus.add(Ids{1}, Ids{1, 2, 3, 4}));
  EXPECT_EQ(corpus.statistics().too_long, 2);
  expect_error(
      Error::Kind::data, [&] { corpus.expect_pairs("train.en"); }, "train.en", "2 are longer",
      "max_tokens = 4");
  EXPECT_TRUE(corpus.add(Ids{1, 2, 3}, Ids{1, 2, 3}));
  corpus.expect_pairs("train.en");
  expect_error(
      Error::Kind::usage, [] { TokenCorpus(1); }, "max_tokens");
}

TEST(TokenCorpus, I11_EmptyCorpusIsAnError) {
  expect_error(
      Error::Kind::data, [] { TokenCorpus().expect_pairs("train.en"); }, "train.en", "no sentence pair");
}

TEST(TokenCorpus, G06_FingerprintTellsEveryChange) {
  const std::vector<std::pair<Ids, Ids>> pairs{{{1, 2}, {3}}, {{4}, {5, 6}}};
  EXPECT_EQ(fingerprint(pairs), fingerprint(pairs));
  const std::set<std::uint64_t> different{
      fingerprint(pairs),
      fingerprint({{{4}, {5, 6}}, {{1, 2}, {3}}}),  // order
      fingerprint({{{1}, {2, 3}}, {{4}, {5, 6}}}),  // boundary between the sides
      fingerprint({{{1, 2}, {3, 4}}, {{5}, {6}}}),  // boundary between pairs
      fingerprint({{{1, 2}, {3}}, {{4}, {5, 7}}}),  // one id
      fingerprint({{{1, 2}, {3}}}),
      fingerprint({}),  // fewer
      fingerprint({{{1, 2}, {3}}, {{4}, {5, 6}}, {{0}, {0}}})};
  EXPECT_EQ(different.size(), 8u);
}

}  // namespace
}  // namespace fovea::data
