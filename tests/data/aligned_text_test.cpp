#include "fovea/data/aligned_text.h"

#include <gtest/gtest.h>

#include "tests/base/scratch.h"

namespace fovea::data {
namespace {

using test::ScratchFolder;
using text::pharaoh;

TEST(AlignedText, ColumnsAndFilesSayTheSame) {
  const ScratchFolder folder;
  const auto pairs = read_aligned(
      {.pairs = folder.write("p.tsv", "das haus .\tthe house .\t0-0 1-1 2?2\n\t\t\nja\tyes yes\t0-0 0-1\n")});
  const auto files = read_aligned({.source = folder.write("s", "das haus .\n\nja\n"),
                                   .target = folder.write("t", "the house .\n\nyes yes\n"),
                                   .gold = folder.write("g", "0-0 1-1 2?2\n\n0-0 0-1\n")});
  EXPECT_EQ(pairs.source, files.source);
  EXPECT_EQ(pairs.target, files.target);
  EXPECT_EQ(pairs.gold, files.gold);
  EXPECT_EQ(pharaoh(pairs.gold[0]), "0-0 1-1 2?2");
  EXPECT_EQ(pharaoh(pairs.gold[1]), "");
  const auto swapped = read_aligned({.pairs = folder.path("p.tsv"), .swapped = true});
  EXPECT_EQ(swapped.source, pairs.target);
  EXPECT_EQ(swapped.target, pairs.source);
  EXPECT_EQ(pharaoh(swapped.gold[2]), "0-0 1-0");
}

TEST(AlignedText, SwappedTurnsTheLinksOfSeparateFilesAlone) {
  const ScratchFolder folder;
  const auto text = read_aligned({.source = folder.write("s", "yes yes\n"),
                                  .target = folder.write("t", "ja\n"),
                                  .gold = folder.write("g", "0-0 0-1\n"),
                                  .swapped = true});
  EXPECT_EQ(text.source[0], "yes yes");
  EXPECT_EQ(pharaoh(text.gold[0]), "0-0 1-0");
}

TEST(AlignedText, TwoColumnsAreTextWithoutGold) {
  const ScratchFolder folder;
  const auto text = read_aligned({.pairs = folder.write("p", "a\tb\nc\td\n")});
  EXPECT_EQ(text.source.size(), 2u);
  EXPECT_TRUE(text.gold.empty());
  EXPECT_TRUE(read_aligned({.pairs = folder.write("none", "")}).source.empty());
}

void expect_error(const AlignedFiles& files, const std::string& part) {
  test::expect_error(
      Error::Kind::data, [&] { read_aligned(files); }, part);
}

TEST(AlignedText, WhatIsMalformedIsNamedWithFileAndLine) {
  const ScratchFolder folder;
  const auto pairs = [&](const std::string& text) { return AlignedFiles{.pairs = folder.write("p", text)}; };
  expect_error(pairs("a\tb\t0-0\na\tb\t0:0\n"), folder.path("p") + ":2: '0:0' is not a link");
  expect_error(pairs("a\tb\t0-0\na\tb\n"), folder.path("p") + ":2: has 2 columns, expected 3");
  expect_error(pairs("a\tb\na\tb\t0-0\n"), ":2: has 3 columns, expected 2");
  expect_error(pairs("a\n"), ":1: has 1 columns, expected 2");
  expect_error(pairs("a\tb\t0-0\tc\n"), ":1: has 4 columns, expected 3");
  expect_error(pairs("a b\tc\t0-0 1-1\n"),
               ":1: the link 1-1 points at target word 1, but the sentence has 1 words");
  expect_error({.pairs = folder.path("missing")}, folder.path("missing"));

  const std::string one = folder.write("one", "a\n"), two = folder.write("two", "a\nb\n");
  expect_error({.source = one, .target = two}, two + ": has 2 lines, but " + one + " has 1");
  expect_error({.source = one, .target = one, .gold = two}, two + ": has 2 lines, but " + one + " has 1");
  expect_error({.source = one, .target = one, .gold = folder.write("g", "0-3\n")},
               folder.path("g") + ":1: the link 0-3");
}

TEST(AlignedText, SwappedLinksAreCheckedInTheirOwnOrder) {
  const ScratchFolder folder;
  expect_error({.pairs = folder.write("p", "a b\tc\t0-1\n"), .swapped = true}, "target word 1");
  EXPECT_EQ(pharaoh(read_aligned({.pairs = folder.write("p", "a b\tc\t1-0\n"), .swapped = true}).gold[0]),
            "0-1");
}

}  // namespace
}  // namespace fovea::data
