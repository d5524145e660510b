#include "fovea/views/display_text.h"

#include <gtest/gtest.h>

namespace fovea::views {
namespace {

std::string shown(std::string_view text, Charset charset = Charset::unicode) {
  return join(glyphs(text, charset));
}

TEST(DisplayText, WidthsOfScripts) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("größe"), 5);
  EXPECT_EQ(display_width("gro\u0308ße"), 5);  // a combining mark
  EXPECT_EQ(display_width("你好，"), 6);
  EXPECT_EQ(display_width("ｶﾅ"), 2);  // half-width katakana
  EXPECT_EQ(display_width("한국"), 4);
  EXPECT_EQ(display_width("\u1112\u1161\u11ab"), 2);  // the same syllable from its letters
  EXPECT_EQ(display_width("😀"), 2);
  EXPECT_EQ(display_width("é"), 1);
  EXPECT_EQ(display_width("สวัสดี"), 4);  // Thai vowels stand above their consonants
  EXPECT_EQ(display_width(""), 0);
}

TEST(DisplayText, TakesJoinedEmojiApart) {
  EXPECT_EQ(display_width("👍🏽"), 2);
  EXPECT_EQ(shown("👍🏽"), "👍");
  EXPECT_EQ(shown("👨\u200d👩\u200d👧"), "👨👩👧");
  EXPECT_EQ(shown("❤\ufe0f"), "❤");
}

TEST(DisplayText, NothingInItSteersTheTerminal) {
  EXPECT_EQ(shown("a\x1b[2Jb\x07\r\n\t\x7f"), "a␛[2Jb␇␍␊␉␡");
  EXPECT_EQ(shown("\u009b31m"), "\uFFFD31m");            // the one-byte CSI
  EXPECT_EQ(shown("a\u202e\u2066\u200bb\ufeff"), "ab");  // direction overrides, invisible characters
  EXPECT_EQ(shown("\xff\xc3"), "\uFFFD\uFFFD");
  EXPECT_EQ(shown(std::string("\0", 1)), "␀");
  EXPECT_EQ(shown("\u2028"), " ");
  EXPECT_EQ(shown("\ue000"), "\uFFFD");  // private use: width unknown
}

TEST(DisplayText, LimitsMarks) {
  std::string tower = "a";
  for (int i = 0; i < 100; ++i) tower += "\u0301";
  EXPECT_EQ(shown(tower), "a\u0301\u0301\u0301\u0301");
  EXPECT_EQ(shown("\u0301"), "◌\u0301");
}

TEST(DisplayText, SpellsInAscii) {
  EXPECT_EQ(shown("Männer „straße“, 你好", Charset::ascii), "Manner ,,strasse\", ni hao");
  EXPECT_EQ(shown("\x1b[0m😀", Charset::ascii), "?[0m?");
  for (const auto& glyph : glyphs("né Ωμέγα мир ١٢ 한국 😀\u0301", Charset::ascii)) {
    EXPECT_EQ(glyph.text.size(), 1u);
    EXPECT_LT(static_cast<unsigned char>(glyph.text[0]), 0x7f);
  }
}

TEST(DisplayText, Fits) {
  EXPECT_EQ(join(fit(glyphs("Fahrrad"), 7)), "Fahrrad");
  EXPECT_EQ(join(fit(glyphs("Fahrrad"), 6)), "Fahrr…");
  EXPECT_EQ(join(fit(glyphs("你好吗"), 5)), "你好…");
  EXPECT_EQ(join(fit(glyphs("你好吗"), 4)), "你…");
  EXPECT_EQ(join(fit(glyphs("你好吗"), 1)), "…");
  EXPECT_EQ(join(fit(glyphs("abc"), 2, Charset::ascii)), "a~");
  EXPECT_EQ(join(fit(glyphs("abc"), 0)), "");
}

}  // namespace
}  // namespace fovea::views
