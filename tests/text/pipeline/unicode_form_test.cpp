#include "fovea/text/pipeline/unicode_form.h"

#include <gtest/gtest.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include "fovea/base/error.h"
#include "fovea/text/pipeline/graphemes.h"
#include "tests/text/sample_text.h"

namespace fovea::text::pipeline {
namespace {

std::string formed(std::string_view text, UnicodeForm form) {
  AlignedText aligned(text, true);
  to_unicode_form(aligned, form);
  return std::string(aligned.text());
}

std::string by_icu(const std::string& text, const char* data, UNormalization2Mode mode) {
  UErrorCode error = U_ZERO_ERROR;
  const auto* normaliser = icu::Normalizer2::getInstance(nullptr, data, mode, error);
  std::string out;
  normaliser->normalize(icu::UnicodeString::fromUTF8(text), error).toUTF8String(out);
  EXPECT_TRUE(U_SUCCESS(error));
  return out;
}

/// A text of characters that Unicode 9 has, many of them marks.
std::string sample_of(sample::Dice& dice) {
  std::string out;
  for (std::uint32_t i = dice(12); i > 0; --i) {
    char32_t c = dice(3) == 0 ? 0x300 + dice(0x50) : sample::code_point(dice);
    UVersionInfo age;
    u_charAge(static_cast<UChar32>(c), age);
    if (age[0] == 0 || age[0] > 9) c = 'e';
    append_utf8(out, c);
  }
  return out;
}

TEST(UnicodeForm, IsWhatIcuMakesOfIt) {
  sample::Dice dice(1);
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = sample_of(dice);
    EXPECT_EQ(formed(text, UnicodeForm::nfc), by_icu(text, "nfc", UNORM2_COMPOSE)) << printable(text);
    EXPECT_EQ(formed(text, UnicodeForm::nfd), by_icu(text, "nfc", UNORM2_DECOMPOSE)) << printable(text);
    EXPECT_EQ(formed(text, UnicodeForm::nfkc), by_icu(text, "nfkc", UNORM2_COMPOSE)) << printable(text);
    EXPECT_EQ(formed(text, UnicodeForm::nfkd), by_icu(text, "nfkc", UNORM2_DECOMPOSE)) << printable(text);
  }
}

TEST(UnicodeForm, PartsStandForTheWhole) {
  AlignedText text("a\u00e9b", true);
  to_unicode_form(text, UnicodeForm::nfd);
  ASSERT_EQ(text.text(), "ae\u0301b");
  EXPECT_EQ(text.origin(1, 2), (TextRange{1, 3}));
  EXPECT_EQ(text.origin(2, 4), (TextRange{1, 3}));
  EXPECT_EQ(text.origin(0, 5), (TextRange{0, 4}));
  AlignedText joined("e\u0301b", true);
  to_unicode_form(joined, UnicodeForm::nfc);
  ASSERT_EQ(joined.text(), "\u00e9b");
  EXPECT_EQ(joined.origin(0, 2), (TextRange{0, 1}));  // the first of those it is made of
  EXPECT_EQ(joined.origin(2, 3), (TextRange{3, 4}));
}

TEST(Graphemes, AreWhatAReaderTakesForOneCharacter) {
  for (const std::string cluster :
       {"a", "e\u0301", "\r\n", "\u1100\u1161\u11a8", "\uac00\u11a8", "\U0001f1e9\U0001f1ea",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\u0915\u093f"}) {
    EXPECT_EQ(first_grapheme(cluster), cluster.size()) << printable(cluster);
    EXPECT_EQ(first_grapheme(cluster + "x"), cluster.size()) << printable(cluster);
  }
  EXPECT_EQ(first_grapheme("\n\u0301"), 1u);
  EXPECT_EQ(first_grapheme("ab"), 1u);
  EXPECT_EQ(first_grapheme("\U0001f1e9\U0001f1ea\U0001f1eb"), 8u);  // two flags' letters, then another
}

}  // namespace
}  // namespace fovea::text::pipeline
