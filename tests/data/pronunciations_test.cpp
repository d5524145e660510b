#include "fovea/data/pronunciations.h"

#include "tests/base/scratch.h"
#include "tests/data/gzip.h"

namespace fovea::data {
namespace {

using test::expect_error;
using test::ScratchFolder;
using Lines = std::vector<std::string>;

constexpr auto dictionary =
    ";;; a comment\n'bout B AW1 T\nA  AH0\na(2) EY1 # a letter\na(3) AH1\n\nx(y) EH1 K S\n(1) W AH1 N\n";

TEST(Pronunciations, AreReadWithoutStress) {
  const ScratchFolder folder;
  const auto text = read_pronunciations(folder.write("d.gz", gzip(dictionary)));
  EXPECT_EQ(text.source, (Lines{"'bout", "a", "a", "x(y)", "(1)"}));
  EXPECT_EQ(text.target, (Lines{"B AW T", "AH", "EY", "EH K S", "W AH N"}));  // a(3) says what a says
  EXPECT_EQ(text.statistics.pairs, 5);
}

TEST(Pronunciations, AreReadWithStress) {
  const ScratchFolder folder;
  const auto text = read_pronunciations(folder.write("d", dictionary), {.stress = true});
  EXPECT_EQ(text.target, (Lines{"B AW1 T", "AH0", "EY1", "AH1", "EH1 K S", "W AH1 N"}));
}

TEST(Pronunciations, I01_FaultsNameFileAndLine) {
  const ScratchFolder folder;
  const std::string path = folder.write("d", "a AH\nsilent\n"), empty = folder.write("e", ";;; no more\n");
  expect_error(
      Error::Kind::data, [&] { read_pronunciations(path); }, path + ":2", "'silent' has no phonemes");
  expect_error(
      Error::Kind::data, [&] { read_pronunciations(empty); }, empty, "holds no word");
}

TEST(Pronunciations, AShareOfTheWordsIsHeldOutWithAllTheyHave) {
  ParallelText text;
  for (int i = 0; i < 4000; ++i)
    for (const char* spoken : {"A", "B"}) {
      text.source.push_back("word" + std::to_string(i));
      text.target.emplace_back(spoken);
    }
  const auto [kept, held] = split_by_source(text, 0.1);
  EXPECT_EQ(kept.source.size() + held.source.size(), text.source.size());
  EXPECT_NEAR(static_cast<double>(held.source.size()), 800, 100);
  for (std::size_t i = 0; i < held.source.size(); i += 2) ASSERT_EQ(held.source[i], held.source[i + 1]);
  for (const std::string& word : kept.source) ASSERT_FALSE(held_out(word, 0.1));
  EXPECT_TRUE(split_by_source(text, 0).second.source.empty());
  EXPECT_TRUE(split_by_source(text, 1).first.source.empty());
}

}  // namespace
}  // namespace fovea::data
