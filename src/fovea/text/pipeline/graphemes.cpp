#include "fovea/text/pipeline/graphemes.h"

#include <unicode/uchar.h>

#include "fovea/text/pipeline/known_utf8.h"

namespace fovea::text::pipeline {
namespace {

UGraphemeClusterBreak break_of(char32_t c) {
  return static_cast<UGraphemeClusterBreak>(
      u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_GRAPHEME_CLUSTER_BREAK));
}

bool is_picture(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_EXTENDED_PICTOGRAPHIC);
}

bool is_control(UGraphemeClusterBreak kind) {
  return kind == U_GCB_CONTROL || kind == U_GCB_CR || kind == U_GCB_LF;
}

/// GB6 to GB8: syllables of Hangul stay whole.
bool is_within_syllable(UGraphemeClusterBreak left, UGraphemeClusterBreak right) {
  switch (left) {
    case U_GCB_L:
      return right == U_GCB_L || right == U_GCB_V || right == U_GCB_LV || right == U_GCB_LVT;
    case U_GCB_LV:
    case U_GCB_V:
      return right == U_GCB_V || right == U_GCB_T;
    case U_GCB_LVT:
    case U_GCB_T:
      return right == U_GCB_T;
    default:
      return false;
  }
}

}  // namespace

std::size_t first_grapheme(std::string_view text) {
  const Decoded first = character_at(text, 0);
  std::size_t end = first.length;
  if (end == text.size()) return end;
  const auto next_byte = static_cast<unsigned char>(text[end]);
  if (first.code_point < 0x80 && next_byte < 0x80) return text.starts_with("\r\n") ? 2 : 1;

  UGraphemeClusterBreak left = break_of(first.code_point);
  bool picture = is_picture(first.code_point);  // a picture, marks and a joiner by now
  std::size_t flags = left == U_GCB_REGIONAL_INDICATOR;
  while (end < text.size()) {
    const Decoded c = character_at(text, end);
    const UGraphemeClusterBreak right = break_of(c.code_point);
    const bool crlf = left == U_GCB_CR && right == U_GCB_LF;
    const bool marked = right == U_GCB_EXTEND || right == U_GCB_ZWJ || right == U_GCB_SPACING_MARK;
    const bool pictures = left == U_GCB_ZWJ && picture && is_picture(c.code_point);
    const bool second_flag = right == U_GCB_REGIONAL_INDICATOR && flags == 1;
    const bool joined =
        marked || left == U_GCB_PREPEND || is_within_syllable(left, right) || pictures || second_flag;
    if (!crlf && (is_control(left) || is_control(right) || !joined)) break;
    picture = is_picture(c.code_point) || (picture && (right == U_GCB_EXTEND || right == U_GCB_ZWJ));
    flags = right == U_GCB_REGIONAL_INDICATOR ? flags + 1 : 0;
    left = right;
    end += c.length;
  }
  return end;
}

}  // namespace fovea::text::pipeline
