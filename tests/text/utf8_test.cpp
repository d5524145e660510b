#include "fovea/text/utf8.h"

#include <gtest/gtest.h>

#include "tests/text/sample_text.h"

namespace fovea::text {
namespace {

using namespace std::string_literals;

TEST(Utf8, EveryCodePointSurvives) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    const Decoded decoded = decode_utf8(text);
    ASSERT_TRUE(decoded.valid);
    ASSERT_EQ(decoded.code_point, c);
    ASSERT_EQ(decoded.length, text.size());
    ASSERT_EQ(claimed_length(static_cast<unsigned char>(text[0])), text.size());
  }
}

TEST(Utf8, SurrogatesAndValuesTooLargeAreReplaced) {
  for (const char32_t c : {char32_t{0xD800}, char32_t{0xDFFF}, char32_t{0x110000}, char32_t{0xFFFFFFFF}}) {
    std::string text;
    append_utf8(text, c);
    EXPECT_EQ(text, replacement_utf8);
  }
}

/// A malformed sequence and how many U+FFFD the Unicode Standard recommends for it (tables 3-8 to 3-11).
struct Malformed {
  const char* name;
  std::string bytes;
  std::size_t replacements;
};

TEST(Utf8, I02_FifteenMalformedSequences) {
  const Malformed cases[] = {{"continuation alone", "\x80"s, 1},
                             {"two continuations", "\xBF\x80"s, 2},
                             {"lead of two alone", "\xC3"s, 1},
                             {"lead of three alone", "\xE2"s, 1},
                             {"three of which two", "\xE2\x96"s, 1},
                             {"lead of four alone", "\xF0"s, 1},
                             {"four of which three", "\xF0\x9F\x98"s, 1},
                             {"overlong two", "\xC0\xAF"s, 2},
                             {"overlong three", "\xE0\x80\xAF"s, 3},
                             {"overlong four", "\xF0\x80\x80\xAF"s, 4},
                             {"surrogate", "\xED\xA0\x80"s, 3},
                             {"surrogate pair (CESU-8)", "\xED\xA0\xBD\xED\xB8\x80"s, 6},
                             {"above U+10FFFF", "\xF4\x90\x80\x80"s, 4},
                             {"five bytes", "\xF8\x88\x80\x80\x80"s, 5},
                             {"FE and FF", "\xFE\xFF"s, 2}};
  static_assert(std::size(cases) == 15);
  for (const Malformed& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_FALSE(is_valid_utf8(c.bytes));
    EXPECT_FALSE(is_valid_utf8("text " + c.bytes + " text"));
    const Repaired repaired = repair_utf8("text " + c.bytes + "A");
    EXPECT_EQ(repaired.replaced, c.replacements);
    EXPECT_EQ(repaired.first_offset, 5u);
    std::string expected = "text ";
    for (std::size_t i = 0; i < c.replacements; ++i) expected += replacement_utf8;
    EXPECT_EQ(repaired.text, expected + "A");
  }
}

TEST(Utf8, I02_TheExampleOfTheStandard) {  // section 3.9, table 3-11: truncated sequences
  const Repaired repaired = repair_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41");
  EXPECT_EQ(repaired.replaced, 4u);
  EXPECT_EQ(repaired.text,
            "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
            "A");
}

TEST(Utf8, RepairLeavesValidTextAlone) {
  sample::Dice dice(5);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = sample::awkward(dice, 50);
    EXPECT_TRUE(is_valid_utf8(text));
    const Repaired repaired = repair_utf8(text);
    EXPECT_EQ(repaired.text, text);
    EXPECT_EQ(repaired.replaced, 0u);
  }
}

TEST(Utf8, RepairedBytesAreValidAndStay) {
  sample::Dice dice(6);
  for (int i = 0; i < 5000; ++i) {
    const Repaired once = repair_utf8(sample::bytes(dice, 40));
    ASSERT_TRUE(is_valid_utf8(once.text));
    ASSERT_EQ(repair_utf8(once.text).text, once.text);
  }
}

}  // namespace
}  // namespace fovea::text
