#include "fovea/text/surrounding_word.h"

#include <unicode/uchar.h>

#include <algorithm>

#include "fovea/text/normaliser.h"
#include "fovea/text/utf8.h"

namespace fovea::text {
namespace {

bool is_punctuation(char32_t c) { return u_ispunct(static_cast<UChar32>(c)); }

/// Whether words are written without spaces around such a character.
bool stands_alone(char32_t c) {
  const int kind = u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_LINE_BREAK);
  return kind == U_LB_IDEOGRAPHIC || kind == U_LB_COMPLEX_CONTEXT ||
         kind == U_LB_CONDITIONAL_JAPANESE_STARTER;
}

/// Bytes [begin, end) of a text.
struct Range {
  std::size_t begin, end;
  bool empty() const { return begin >= end; }
};

/// The run of characters around or behind `piece` that neither a space nor one that stands alone interrupts.
Range run_around(std::string_view text, Range piece) {
  Range run{0, text.size()};
  for (std::size_t at = 0; at < text.size();) {
    const bool space = text.substr(at).starts_with(space_symbol);
    const Decoded c = decode_utf8(text.substr(at));
    const std::size_t next = at + c.length;
    if (space || stands_alone(c.code_point)) {
      if (at >= piece.end) return {run.begin, at};
      run.begin = next;
    }
    at = next;
  }
  return run;
}

/// `range` from its first to its last character that is no punctuation.
Range without_punctuation(std::string_view text, Range range) {
  Range core{range.end, range.end};
  for (std::size_t at = range.begin; at < range.end;) {
    const Decoded c = decode_utf8(text.substr(at));
    if (!is_punctuation(c.code_point)) core = {std::min(core.begin, at), at + c.length};
    at += c.length;
  }
  return core;
}

}  // namespace

std::string surrounding_word(std::string_view text, std::size_t begin, std::size_t length) {
  Range piece{begin, begin + length};
  while (!piece.empty() && text.substr(piece.begin).starts_with(space_symbol))
    piece.begin += space_symbol.size();
  const Range run = run_around(text, piece);
  const Range word = without_punctuation(text, run);
  const bool of_spaces = piece.empty();
  const bool inside = !word.empty() && (of_spaces ? run.begin == piece.begin
                                                  : piece.begin < word.end && piece.end > word.begin);
  if (!inside) return of_spaces ? std::string() : std::string(text.substr(begin, length));
  const bool after_space = text.substr(0, run.begin).ends_with(space_symbol);
  std::string out(after_space ? space_symbol : std::string_view());
  return out.append(text.substr(word.begin, word.end - word.begin));
}

}  // namespace fovea::text
