#include "fovea/text/word_alignment.h"

#include <gtest/gtest.h>

#include "fovea/base/error.h"

namespace fovea::text {
namespace {

TEST(WordAlignment, ReadsEveryWayToWriteAPossibleLink) {
  const GoldAlignment expected{{{0, 0}, {1, 2}}, {{0, 0}, {1, 2}, {0, 3}}};
  EXPECT_EQ(parse_alignment("0-0 1-2 0?3", "f:1"), expected);
  EXPECT_EQ(parse_alignment("  1-2\t?0-3 0-0 \r", "f:1"), expected);
  EXPECT_EQ(parse_alignment("0p3 0-0 1-2 1?2 0-0", "f:1"), expected);  // sure wins, repeats count once
  EXPECT_EQ(parse_alignment("", "f:1"), GoldAlignment{});
}

TEST(WordAlignment, WritesWhatItReads) {
  const auto gold = parse_alignment("10-2 2-10 2-9 ?0-3", "f:1");
  EXPECT_EQ(pharaoh(gold), "0?3 2-9 2-10 10-2");
  EXPECT_EQ(pharaoh(gold.sure), "2-9 2-10 10-2");
  EXPECT_EQ(parse_alignment(pharaoh(gold), "f:1"), gold);
  EXPECT_EQ(pharaoh(transposed(gold)), "2-10 3?0 9-2 10-2");
  EXPECT_EQ(pharaoh(Alignment{}), "");
}

std::string message_of(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::data);
    return error.what();
  }
  return "nothing was thrown";
}

TEST(WordAlignment, WhatIsNoLinkIsNamedWithItsPlace) {
  for (const std::string bad : {"x", "1", "1-", "-1-2", "1--2", "1-2-3", "1:2", "1-2x", "99999999999-1",
                                "2147483647-0", "1 - 2", "??1-2", "1-\xff"}) {
    const auto message = message_of([&] { parse_alignment("0-0 " + bad, "gold.txt:7"); });
    EXPECT_TRUE(message.starts_with("gold.txt:7: '")) << message;
    EXPECT_NE(message.find("is not a link"), std::string::npos) << message;
  }
}

TEST(WordAlignment, TheDiagonalRunsFromCornerToCorner) {
  EXPECT_EQ(pharaoh(diagonal_alignment(3, 3)), "0-0 1-1 2-2");
  EXPECT_EQ(pharaoh(diagonal_alignment(2, 4)), "0-0 0-1 1-2 1-3");
  EXPECT_EQ(pharaoh(diagonal_alignment(4, 2)), "1-0 3-1");
  EXPECT_EQ(pharaoh(diagonal_alignment(0, 2)), "");
  EXPECT_EQ(pharaoh(diagonal_alignment(2, 0)), "");
}

TEST(WordAlignment, LinksBeyondTheSentenceAreNamed) {
  const auto gold = parse_alignment("0-0 2?4", "f:1");
  EXPECT_NO_THROW(check_alignment(gold, 3, 5, "f:1"));
  EXPECT_NE(message_of([&] {
              check_alignment(gold, 2, 5, "f:1");
            }).find("f:1: the link 2-4 points at source word 2, but the sentence has 2 words"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              check_alignment(gold, 3, 4, "f:1");
            }).find("target word 4, but the sentence has 4 words"),
            std::string::npos);
  EXPECT_NO_THROW(check_alignment({}, 0, 0, "f:1"));
}

}  // namespace
}  // namespace fovea::text
