#include "fovea/models/shortlist.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "fovea/base/file.h"
#include "fovea/formats/safetensors.h"
#include "fovea/models/shortlist_learner.h"
#include "tests/decoding/small_model.h"

namespace fovea::models {
namespace {

using test::message_of;
using test::ScratchFolder;
using test::small_tokenizer;
using Ids = std::vector<std::int32_t>;

/// Row s of so many rows holds 10 + s and 200 + s, row 3 nothing.
Shortlist::Table some_table(std::int64_t rows) {
  Shortlist::Table table;
  for (std::int32_t s = 0; s < rows; ++s) {
    if (s != 3 && s < 90) table.ids.insert(table.ids.end(), {10 + s, 200 + s});
    table.offsets.push_back(static_cast<std::int32_t>(table.ids.size()));
  }
  return table;
}

Shortlist some_shortlist(const text::TranslationTokenizer& tokenizer = small_tokenizer()) {
  return {tokenizer, {0, 1, 15}, some_table(tokenizer.source_vocabulary().size())};
}

TEST(Shortlist, CandidatesAreTheUnionOfTheRowsAndWhatStandsAnywhere) {
  const auto shortlist = some_shortlist();
  EXPECT_EQ(shortlist.candidates({}), (Ids{0, 1, 15}));
  EXPECT_EQ(shortlist.candidates(Ids{3}), (Ids{0, 1, 15}));
  EXPECT_EQ(shortlist.candidates(Ids{7, 5, 7}), (Ids{0, 1, 15, 17, 205, 207}));
  EXPECT_EQ(shortlist.candidates(Ids{-1, 100000}), (Ids{0, 1, 15}));
  EXPECT_EQ(shortlist.size(), 3u + 2u * 89u);
}

TEST(Shortlist, WhatIsReadIsWhatWasWritten) {
  const ScratchFolder folder;
  const auto shortlist = some_shortlist();
  shortlist.save(folder / "a");
  const auto read = Shortlist::read(folder / "a", small_tokenizer());
  EXPECT_EQ(read.source_vocabulary(), shortlist.source_vocabulary());
  EXPECT_EQ(read.target_vocabulary(), shortlist.target_vocabulary());
  EXPECT_EQ(read.anywhere(), shortlist.anywhere());
  for (std::int32_t s = 0; s < read.source_vocabulary(); ++s)
    EXPECT_EQ(read.candidates(Ids{s}), shortlist.candidates(Ids{s}));
  EXPECT_EQ(folder.names(), std::vector<std::string>{"a"});
}

TEST(Shortlist, OnlyItsOwnVocabulariesWillDo) {
  const ScratchFolder folder;
  some_shortlist().save(folder / "a");
  const text::TranslationTokenizer other(test::small_pieces(400, 2), small_tokenizer().settings());
  const auto message = message_of(Error::Kind::model, [&] { Shortlist::read(folder / "a", other); });
  EXPECT_NE(message.find("other vocabularies"), std::string::npos);
  EXPECT_NE(message.find((folder / "a").string()), std::string::npos);
}

TEST(Shortlist, AFileCutAnywhereIsRefusedByName) {
  const ScratchFolder folder;
  some_shortlist().save(folder / "a");
  const auto whole = std::filesystem::file_size(folder / "a");
  for (std::uintmax_t length = 0; length < whole; length += 1 + length / 3) {
    std::filesystem::copy_file(folder / "a", folder / "cut",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(folder / "cut", length);
    EXPECT_NE(message_of(Error::Kind::model, [&] { Shortlist::read(folder / "cut", small_tokenizer()); })
                  .find((folder / "cut").string()),
              std::string::npos)
        << length;
  }
}

class DamagedShortlist : public testing::Test {
 protected:
  /// The file with one list in the place of the good one.
  std::string refusal(const std::string& name, Ids numbers) const {
    const auto good = formats::SafetensorsFile::open(folder_ / "good");
    formats::SafetensorsWriter file(good.metadata());
    for (const std::string list : {"anywhere", "offsets", "ids"}) {
      Tensor tensor = good.read_stored(list);
      if (list == name) {
        tensor = Tensor::empty({std::ssize(numbers)}, DType::i32);
        std::ranges::copy(numbers, tensor.i32());
      }
      file.add(list, tensor);
    }
    file.save(folder_ / "bad");
    return message_of(Error::Kind::model, [&] { Shortlist::read(folder_ / "bad", small_tokenizer()); });
  }
  void expect_refusal(const std::string& name, Ids numbers, const std::string& part) const {
    EXPECT_NE(refusal(name, std::move(numbers)).find(part), std::string::npos) << part;
  }
  void SetUp() override { some_shortlist().save(folder_ / "good"); }

  ScratchFolder folder_;
};

TEST_F(DamagedShortlist, IsRefusedForWhatIsWrong) {
  const auto good = some_table(small_tokenizer().source_vocabulary().size());
  expect_refusal("anywhere", {1, 1}, "'anywhere'");
  expect_refusal("anywhere", {-1, 1}, "'anywhere'");
  expect_refusal("anywhere", {0, 400}, "'anywhere'");
  expect_refusal("offsets", {}, "'offsets'");
  expect_refusal("ids", {10, 200}, "'offsets'");
  auto offsets = good.offsets;
  std::swap(offsets[5], offsets[6]);
  expect_refusal("offsets", offsets, "'offsets'");
  offsets = good.offsets;
  offsets.pop_back();
  expect_refusal("offsets", offsets, "source tokens of");
  offsets = good.offsets;
  offsets[0] = -2;
  expect_refusal("offsets", offsets, "'offsets'");
  auto ids = good.ids;
  std::swap(ids[4], ids[5]);
  expect_refusal("ids", ids, "row 2");
  ids = good.ids;
  ids.back() = 100000;
  expect_refusal("ids", ids, "row 89");
}

TEST_F(DamagedShortlist, AModelIsNoShortlist) {
  const auto weights = test::SmallModel::folder() / "model.safetensors";
  EXPECT_NE(message_of(Error::Kind::model, [&] { Shortlist::read(weights, small_tokenizer()); })
                .find("is not a shortlist"),
            std::string::npos);
}

// --- learning

std::vector<std::pair<std::string, std::string>> some_pairs(std::uint32_t count) {
  const auto source = text::sample::sentences(count, 21), target = text::sample::sentences(count, 22);
  std::vector<std::pair<std::string, std::string>> pairs;
  for (std::size_t i = 0; i < source.size(); ++i) pairs.emplace_back(source[i], target[i]);
  return pairs;
}

Shortlist learnt(const std::vector<std::pair<std::string, std::string>>& pairs, const ShortlistSize& size,
                 int threads = 1) {
  const auto model = test::small_model();
  ShortlistLearner learner(*model, small_tokenizer(), threads);
  std::vector<ShortlistLearner::Pair> views;
  for (const auto& [source, target] : pairs) views.push_back({source, target});
  learner.read(views);
  return learner.shortlist(size);
}

TEST(ShortlistLearner, EverySentenceMayEndAndSayTheFrequent) {
  const auto shortlist = learnt({{"a b", "a a a a"}, {"b", "a"}}, {.best = 1, .frequent = 1});
  const auto& vocabulary = small_tokenizer().target_vocabulary();
  const auto frequent = small_tokenizer().encode_target("a a")[0];
  const auto& anywhere = shortlist.anywhere();
  for (const auto id : {vocabulary.eos(), vocabulary.unk(), frequent})
    EXPECT_TRUE(std::ranges::binary_search(anywhere, id)) << id;
  EXPECT_FALSE(std::ranges::binary_search(anywhere, vocabulary.pad()));
}

// Random weights look at everything alike: in a sentence of few tokens everything belongs together.
TEST(ShortlistLearner, WhatWasSeenTogetherIsACandidate) {
  auto pairs = some_pairs(40);
  for (auto& [source, target] : pairs) {
    source.resize(std::min<std::size_t>(source.size(), 6));
    target.resize(std::min<std::size_t>(target.size(), 6));
  }
  const auto shortlist = learnt(pairs, {.best = 1000, .frequent = 0});
  std::size_t seen = 0;
  for (const auto& [source, target] : pairs) {
    const auto from = small_tokenizer().encode_source(source), to = small_tokenizer().encode_target(target);
    if (from.size() > 12) continue;
    const auto candidates = shortlist.candidates(from);
    for (const auto token : to) EXPECT_TRUE(std::ranges::binary_search(candidates, token));
    seen += to.size();
  }
  EXPECT_GT(seen, 20u);
}

TEST(ShortlistLearner, KeepsTheBestAndAPieceForItself) {
  const auto pairs = some_pairs(60);
  const auto shortlist = learnt(pairs, {.best = 3, .frequent = 10});
  const std::size_t everywhere = shortlist.anywhere().size();
  const auto& vocabulary = small_tokenizer().source_vocabulary();
  std::size_t fullest = 0;
  for (std::int32_t s = 0; s < shortlist.source_vocabulary(); ++s) {
    const auto candidates = shortlist.candidates(Ids{s});
    fullest = std::max(fullest, candidates.size() - everywhere);
    if (s == vocabulary.pad() || vocabulary.piece(s).empty()) continue;
    EXPECT_TRUE(std::ranges::binary_search(candidates, s)) << s;  // one vocabulary: a piece is itself
  }
  EXPECT_GE(fullest, 3u);
  EXPECT_LE(fullest, 4u);
}

TEST(ShortlistLearner, ThreadsAndTheOrderOfReadingChangeNothing) {
  const auto pairs = some_pairs(50);
  const auto one = learnt(pairs, {.best = 4, .frequent = 5}, 1);
  const auto four = learnt(pairs, {.best = 4, .frequent = 5}, 4);
  const auto model = test::small_model();
  ShortlistLearner piecewise(*model, small_tokenizer(), 2);
  for (const auto& [source, target] : pairs) {
    const ShortlistLearner::Pair pair{source, target};
    piecewise.read({&pair, 1});
    piecewise.shortlist({});  // adds up in between
  }
  const auto pieces = piecewise.shortlist({.best = 4, .frequent = 5});
  for (std::int32_t s = 0; s < one.source_vocabulary(); ++s) {
    EXPECT_EQ(four.candidates(Ids{s}), one.candidates(Ids{s}));
    EXPECT_EQ(pieces.candidates(Ids{s}), one.candidates(Ids{s}));
  }
}

TEST(ShortlistLearner, EmptyAndOverlongPairsTeachNothing) {
  const auto model = test::small_model();
  ShortlistLearner learner(*model, small_tokenizer(), 1);
  std::string longer;
  for (int i = 0; i < 200; ++i) longer += "ab ";
  const std::vector<ShortlistLearner::Pair> pairs{
      {"", "a"}, {"a", ""}, {longer, "a"}, {"a", longer}, {"a", "a"}};
  learner.read(pairs);
  EXPECT_EQ(learner.pairs(), 1);
  EXPECT_EQ(learner.left_out(), 4);
}

}  // namespace
}  // namespace fovea::models
