#include "fovea/views/display_text.h"

#include <unicode/translit.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <memory>

namespace fovea::views {
namespace {

constexpr int most_marks = 4;

bool has_category(UChar32 c, std::uint32_t mask) { return (U_GET_GC_MASK(c) & mask) != 0; }
bool is_skin_tone(UChar32 c) { return c >= 0x1F3FB && c <= 0x1F3FF; }
bool is_mark(UChar32 c) {
  const bool jamo_tail =
      (c >= 0x1160 && c <= 0x11FF) || (c >= 0xD7B0 && c <= 0xD7FF);  // drawn into the syllable
  return jamo_tail || has_category(c, U_GC_MN_MASK | U_GC_ME_MASK);
}
bool is_invisible(UChar32 c) {
  return has_category(c, U_GC_CF_MASK) || u_hasBinaryProperty(c, UCHAR_VARIATION_SELECTOR) ||
         u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT);
}

/// What stands for c where c itself must not be sent to a terminal.
UChar32 harmless(UChar32 c) {
  if (c < 0x20) return 0x2400 + c;
  if (c == 0x7F) return 0x2421;
  if (has_category(c, U_GC_CC_MASK | U_GC_CS_MASK | U_GC_CO_MASK | U_GC_CN_MASK)) return 0xFFFD;
  if (has_category(c, U_GC_Z_MASK)) return c == 0x3000 ? c : ' ';
  return c;
}

int columns(UChar32 c) {
  const auto east_asian = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
  return east_asian == U_EA_FULLWIDTH || east_asian == U_EA_WIDE ? 2 : 1;
}

void append(std::string& text, UChar32 c) {
  std::uint8_t unit[U8_MAX_LENGTH];
  std::size_t length = 0;
  U8_APPEND_UNSAFE(unit, length, c);
  text.append(reinterpret_cast<const char*>(unit), length);
}

bool is_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

std::unique_ptr<const icu::Transliterator> speller(const char* rules) {
  UErrorCode status = U_ZERO_ERROR;
  std::unique_ptr<const icu::Transliterator> made(
      icu::Transliterator::createInstance(rules, UTRANS_FORWARD, status));
  return U_SUCCESS(status) ? std::move(made) : nullptr;
}

/// `text` spelt in ASCII as far as ICU knows how. Reading the rules of all scripts takes a third of a second,
/// so they are kept, and asked for only by text that is not Latin.
std::string spell_in_ascii(std::string_view text) {
  static const auto latin_to_ascii = speller("Latin-ASCII");
  auto spelt = icu::UnicodeString::fromUTF8({text.data(), static_cast<std::int32_t>(text.size())});
  if (latin_to_ascii) latin_to_ascii->transliterate(spelt);
  std::string out;
  spelt.toUTF8String(out);
  if (is_ascii(out)) return out;
  static const auto all_to_ascii = speller("Any-Latin; Latin-ASCII");
  if (all_to_ascii) all_to_ascii->transliterate(spelt);
  out.clear();
  return spelt.toUTF8String(out);
}

std::vector<Glyph> ascii_glyphs(std::string_view text) {
  const std::string spelt = is_ascii(text) ? std::string(text) : spell_in_ascii(text);
  std::vector<Glyph> out;
  const auto* data = reinterpret_cast<const std::uint8_t*>(spelt.data());
  for (std::size_t i = 0; i < spelt.size();) {
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(data, i, spelt.size(), c);
    if (c >= 0x80 && (is_invisible(c) || is_mark(c))) continue;
    out.push_back({std::string(1, c >= 0x20 && c < 0x7F ? static_cast<char>(c) : '?'), 1});
  }
  return out;
}

}  // namespace

std::vector<Glyph> glyphs(std::string_view text, Charset charset) {
  if (charset == Charset::ascii) return ascii_glyphs(text);
  std::vector<Glyph> out;
  int marks = 0;
  const auto* data = reinterpret_cast<const std::uint8_t*>(text.data());
  for (std::size_t i = 0; i < text.size();) {
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(data, i, text.size(), c);
    if (is_invisible(c) || (is_skin_tone(c) && !out.empty())) continue;
    if (is_mark(c)) {
      if (out.empty()) out.push_back({"◌", 1});
      if (++marks <= most_marks) append(out.back().text, c);
      continue;
    }
    marks = 0;
    c = harmless(c);
    out.push_back({{}, columns(c)});
    append(out.back().text, c);
  }
  return out;
}

int width(const std::vector<Glyph>& glyphs) {
  int sum = 0;
  for (const auto& glyph : glyphs) sum += glyph.width;
  return sum;
}

int display_width(std::string_view text, Charset charset) { return width(glyphs(text, charset)); }

std::vector<Glyph> fit(std::vector<Glyph> glyphs, int columns, Charset charset) {
  int left = width(glyphs);
  if (left <= columns) return glyphs;
  if (columns <= 0) return {};
  while (left > columns - 1) {
    left -= glyphs.back().width;
    glyphs.pop_back();
  }
  glyphs.push_back({charset == Charset::ascii ? "~" : "…", 1});
  return glyphs;
}

std::string join(const std::vector<Glyph>& glyphs) {
  std::string out;
  for (const auto& glyph : glyphs) out += glyph.text;
  return out;
}

}  // namespace fovea::views
