#include "fovea/metrics/mt_tokenizers.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <array>

#include "fovea/base/error.h"
#include "fovea/metrics/unicode_text.h"

namespace fovea::metrics {
namespace {

using Text = std::u32string;
using View = std::u32string_view;

struct Named {
  MtTokenizer tokenizer;
  std::string_view name;
};
constexpr std::array names{Named{MtTokenizer::v13a, "13a"}, Named{MtTokenizer::zh, "zh"},
                           Named{MtTokenizer::intl, "intl"}, Named{MtTokenizer::character, "char"},
                           Named{MtTokenizer::none, "none"}};

struct Range {
  char32_t first, last;
};
constexpr std::array<Range, 22> chinese{
    {{0x2001, 0x2A6D}, {0x2600, 0x26FF}, {0x2700, 0x27BF}, {0x2E80, 0x2EFF}, {0x2F00, 0x2FDF},
     {0x2F81, 0x2FA1}, {0x2FF0, 0x2FFF}, {0x3000, 0x303F}, {0x3100, 0x312F}, {0x31A0, 0x31BF},
     {0x31C0, 0x31EF}, {0x3200, 0x32FF}, {0x3300, 0x33FF}, {0x3400, 0x4DB5}, {0x4E00, 0x9FA5},
     {0x9FA6, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A}, {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F},
     {0xFE30, 0xFE4F}, {0xFF00, 0xFFEF}}};

bool is_chinese(char32_t c) {
  return std::any_of(chinese.begin(), chinese.end(), [c](Range r) { return c >= r.first && c <= r.last; });
}
bool is_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
bool is_point_or_comma(char32_t c) { return c == U'.' || c == U','; }
/// ASCII punctuation (and the space) but ' , - and the point.
bool is_western_punctuation(char32_t c) {
  return (c >= 0x20 && c <= 0x26) || (c >= 0x28 && c <= 0x2B) || c == 0x2F || (c >= 0x3A && c <= 0x40) ||
         (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
}
bool is_number(char32_t c) { return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_N_MASK) != 0; }
bool is_punctuation(char32_t c) { return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_P_MASK) != 0; }
bool is_symbol(char32_t c) { return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_S_MASK) != 0; }

/// re.sub of one character: each that `matches` gets a space on both sides.
template <typename Matches>
Text set_apart(View text, Matches matches) {
  Text out;
  out.reserve(2 * text.size());
  for (const char32_t c : text) {
    if (matches(c)) {
      out.append({U' ', c, U' '});
    } else {
      out.push_back(c);
    }
  }
  return out;
}

enum class Place { after_second, before_first };  // "\1 \2 " and " \1 \2"

/// re.sub of two neighbours, left to right without overlap: the pair (a, b) becomes `a b ` or ` a b`.
template <typename First, typename Second>
Text part_pairs(View text, First first, Second second, Place place) {
  Text out;
  out.reserve(text.size() + text.size() / 2);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i + 1 < text.size() && first(text[i]) && second(text[i + 1])) {
      if (place == Place::before_first) out.push_back(U' ');
      out.append({text[i], U' ', text[i + 1]});
      if (place == Place::after_second) out.push_back(U' ');
      ++i;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

void replace_all(Text& text, View from, View to) {
  for (auto at = text.find(from); at != Text::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

Text single_spaced(View text) {
  Text out;
  out.reserve(text.size());
  for (const View word : split(text)) {
    if (!out.empty()) out.push_back(U' ');
    out.append(word);
  }
  return out;
}

/// The four passes that 13a and zh share.
Text tokenize_western(View line) {
  const auto not_digit = [](char32_t c) { return !is_digit(c); };
  const auto dash = [](char32_t c) { return c == U'-'; };
  Text text = set_apart(line, is_western_punctuation);
  text = part_pairs(text, not_digit, is_point_or_comma, Place::after_second);
  text = part_pairs(text, is_point_or_comma, not_digit, Place::before_first);
  text = part_pairs(text, is_digit, dash, Place::after_second);
  return single_spaced(text);
}

Text tokenize_13a(View line) {
  Text text(line);
  replace_all(text, U"<skipped>", U"");
  replace_all(text, U"-\n", U"");
  replace_all(text, U"\n", U" ");
  replace_all(text, U"&quot;", U"\"");
  replace_all(text, U"&amp;", U"&");  // in this order, so that &amp;lt; becomes <
  replace_all(text, U"&lt;", U"<");
  replace_all(text, U"&gt;", U">");
  return tokenize_western(U" " + text + U" ");
}

Text tokenize_zh(View line) { return tokenize_western(set_apart(strip(line), is_chinese)); }

Text tokenize_intl(View line) {
  const auto not_number = [](char32_t c) { return !is_number(c); };
  Text text = part_pairs(line, not_number, is_punctuation, Place::after_second);
  text = part_pairs(text, is_punctuation, not_number, Place::before_first);
  return single_spaced(set_apart(text, is_symbol));
}

Text tokenize_characters(View line) {
  Text out;
  out.reserve(2 * line.size());
  for (const char32_t c : line) {
    if (!out.empty()) out.push_back(U' ');
    out.push_back(c);
  }
  return out;
}

}  // namespace

std::string_view name(MtTokenizer tokenizer) {
  return std::find_if(names.begin(), names.end(), [=](Named n) { return n.tokenizer == tokenizer; })->name;
}

MtTokenizer parse_mt_tokenizer(std::string_view name) {
  for (const auto& known : names) {
    if (known.name == name) return known.tokenizer;
  }
  throw Error(Error::Kind::usage, "tokenize", "unknown tokenizer '" + printable(name) + "'",
              "use one of 13a, zh, intl, char, none");
}

Text tokenize(View line, MtTokenizer tokenizer) {
  switch (tokenizer) {
    case MtTokenizer::v13a:
      return tokenize_13a(line);
    case MtTokenizer::zh:
      return tokenize_zh(line);
    case MtTokenizer::intl:
      return tokenize_intl(line);
    case MtTokenizer::character:
      return tokenize_characters(line);
    case MtTokenizer::none:
      break;
  }
  return Text(line);
}

std::string tokenize(std::string_view line, MtTokenizer tokenizer) {
  return encode_utf8(tokenize(decode_utf8(line), tokenizer));
}

}  // namespace fovea::metrics
