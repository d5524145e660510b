#include "fovea/text/sentences.h"

#include <unicode/uchar.h>

#include <algorithm>

#include "fovea/base/error.h"
#include "fovea/text/utf8.h"

namespace fovea::text {
namespace {

/// Where texts may be cut, best first.
enum class Level { sentence, clause, space, character };

bool is_space(char32_t c) { return u_isUWhiteSpace(static_cast<UChar32>(c)); }

bool is_line_end(char32_t c) {
  return c == U'\n' || c == U'\r' || c == U'\v' || c == U'\f' || c == U'\u0085' || c == U'\u2028' ||
         c == U'\u2029';
}

bool is_in(char32_t c, std::u32string_view set) { return set.find(c) != std::u32string_view::npos; }

/// Ends a sentence even where no space follows.
bool ends_full_width(char32_t c) { return is_in(c, U"\u3002\uFF01\uFF1F\uFF61"); }

bool ends_sentence(char32_t c) { return is_in(c, U".!?\u2026\u0964\u061F\u06D4") || ends_full_width(c); }

bool ends_clause_full_width(char32_t c) { return is_in(c, U"\uFF0C\u3001\uFF1B\uFF1A"); }

bool ends_clause(char32_t c) { return is_in(c, U",;:\u2013\u2014\u060C\u061B") || ends_clause_full_width(c); }

/// Quotation marks and brackets that close, which belong to the sentence before.
bool closes(char32_t c) {
  return is_in(c, U"\"')]}\u2019\u201D\u201C\u00BB\u203A\u300D\u300F\uFF09\u3011\u300B");
}

/// Scripts written without spaces between words.
bool is_ideographic(char32_t c) {
  return (c >= 0x2E80 && c <= 0x31FF) || (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0xFF00 && c <= 0xFF9F) || (c >= 0x20000 && c <= 0x3FFFF);
}

/// A text read character by character.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) { look(); }
  bool done() const { return at_ == text_.size(); }
  char32_t get() const { return decoded_.code_point; }
  std::size_t at() const { return at_; }
  void advance() {
    at_ += decoded_.length;
    look();
  }
  void skip_spaces() {
    while (!done() && is_space(get())) advance();
  }

 private:
  void look() {
    if (!done()) decoded_ = decode_utf8(text_.substr(at_));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Decoded decoded_;
};

/// Moves past a run of marks that `ends` and what closes after them; says whether the text may be cut there.
template <class Ends, class FullWidth>
bool pass_mark(Cursor& cursor, Ends ends, FullWidth full_width) {
  bool alone = false;
  char32_t last = 0;
  for (; !cursor.done() && ends(cursor.get()); cursor.advance()) {
    last = cursor.get();
    alone |= full_width(last);
  }
  while (!cursor.done() && closes(cursor.get())) cursor.advance();
  if (cursor.done() || alone) return true;
  if (!is_space(cursor.get())) return false;
  if (last != U'.') return true;
  Cursor next = cursor;
  next.skip_spaces();
  return next.done() || !u_islower(static_cast<UChar32>(next.get()));
}

/// Moves to the next place where `level` may cut, at least one character on.
void pass_unit(Cursor& cursor, Level level) {
  while (!cursor.done()) {
    const char32_t c = cursor.get();
    if (level == Level::space ? is_space(c) : is_line_end(c)) return;
    if (level == Level::sentence && ends_sentence(c)) {
      if (pass_mark(cursor, ends_sentence, ends_full_width)) return;
    } else if (level == Level::clause && ends_clause(c)) {
      if (pass_mark(cursor, ends_clause, ends_clause_full_width)) return;
    } else {
      cursor.advance();
      if (level == Level::character) return;
    }
  }
}

std::vector<Chunk> units(std::string_view text, Level level) {
  std::vector<Chunk> out;
  Cursor cursor(text);
  while (!cursor.done()) {
    const std::size_t begin = cursor.at();
    pass_unit(cursor, level);
    const std::size_t end = cursor.at();
    cursor.skip_spaces();
    out.push_back({text.substr(begin, end - begin), text.substr(end, cursor.at() - end)});
  }
  return out;
}

std::string_view span(const Chunk& first, const Chunk& last) {
  return {first.text.data(),
          static_cast<std::size_t>(last.text.data() + last.text.size() - first.text.data())};
}

/// The largest n in [0, most] for which `fits` holds, if it holds for all below; asks about `guess` first and
/// few that are much larger than the answer, so that asking costs about as much as the answer is long.
template <class Fits>
std::size_t largest_fitting(std::size_t most, std::size_t guess, Fits fits) {
  std::size_t good = 0, bad = most + 1;
  for (std::size_t n = std::clamp<std::size_t>(guess, 1, most); good + 1 < bad;) {
    (fits(n) ? good : bad) = n;
    n = bad > most ? std::min(most, 2 * good) : good + (bad - good) / 2;
  }
  return good;
}

class Splitter {
 public:
  Splitter(std::size_t limit, const TokenCounter& count) : limit_(limit), count_(count) {}

  std::vector<Chunk> split(std::string_view text) {
    add({text, {}}, Level::sentence);
    return std::move(out_);
  }

 private:
  bool fits(std::string_view text) const { return count_(text) <= limit_; }

  /// Appends `whole`, cut as `level` or those below it allow where it is too long.
  void add(const Chunk& whole, Level level) {
    if (fits(whole.text)) {
      out_.push_back(whole);
      return;
    }
    for (; level != Level::character; level = below(level)) {
      std::vector<Chunk> parts = units(whole.text, level);
      if (parts.size() < 2) continue;
      // Spaces at the end of the whole belong to what separates it from the next.
      std::string_view& last = parts.back().separator;
      last = {last.data(), last.size() + whole.separator.size()};
      if (level == Level::sentence)
        for (const Chunk& part : parts) add(part, Level::clause);
      else
        pack(parts, below(level));
      return;
    }
    cut(whole);
  }

  static Level below(Level level) { return static_cast<Level>(static_cast<int>(level) + 1); }

  /// Appends neighbours, as many as fit in a chunk.
  void pack(std::span<const Chunk> parts, Level if_one_is_too_long) {
    for (std::size_t first = 0, count = 1; first < parts.size(); first += count) {
      const auto joined = [&](std::size_t n) { return span(parts[first], parts[first + n - 1]); };
      count = largest_fitting(parts.size() - first, count, [&](std::size_t n) { return fits(joined(n)); });
      if (count > 0) {
        out_.push_back({joined(count), parts[first + count - 1].separator});
      } else {
        add(parts[first], if_one_is_too_long);
        count = 1;
      }
    }
  }

  /// Cuts a text without spaces between characters.
  void cut(const Chunk& whole) {
    std::string_view rest = whole.text;
    for (std::size_t guess = 4 * limit_; !rest.empty();) {
      const auto start = [&](std::size_t n) {  // whole characters among the first n bytes
        while (n < rest.size() && (static_cast<unsigned char>(rest[n]) & 0xC0) == 0x80 && n > 0) --n;
        return rest.substr(0, n);
      };
      guess = largest_fitting(rest.size(), guess, [&](std::size_t n) { return fits(start(n)); });
      std::size_t length = guess > 0 ? start(guess).size() : 0;
      if (length == 0) length = decode_utf8(rest).length;  // one character that does not fit
      out_.push_back({rest.substr(0, length), {}});
      rest.remove_prefix(length);
    }
    out_.back().separator = whole.separator;
  }

  std::size_t limit_;
  const TokenCounter& count_;
  std::vector<Chunk> out_;
};

char32_t first_code_point(std::string_view text) { return text.empty() ? 0 : decode_utf8(text).code_point; }

char32_t last_code_point(std::string_view text) {
  std::size_t at = text.size();
  while (at > 0 && at + 4 > text.size()) {
    --at;
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80) break;
  }
  return first_code_point(text.substr(at));
}

}  // namespace

std::vector<Chunk> split_into_chunks(std::string_view text, std::size_t limit, const TokenCounter& count) {
  if (limit == 0) throw Error(Error::Kind::bug, "split_into_chunks", "the limit is 0 tokens");
  Cursor begin(text);
  begin.skip_spaces();
  text.remove_prefix(begin.at());
  return text.empty() ? std::vector<Chunk>{} : Splitter(limit, count).split(text);
}

std::string_view between(std::string_view translation, const Chunk& chunk,
                         std::string_view next_translation) {
  const bool ideographs =
      is_ideographic(last_code_point(translation)) && is_ideographic(first_code_point(next_translation));
  const char32_t end = last_code_point(chunk.text);
  const bool cut_after_mark = ends_full_width(end) || ends_clause_full_width(end);
  if (chunk.separator.empty() && cut_after_mark && !ideographs) return " ";
  if (chunk.separator == " " && ideographs) return {};
  return chunk.separator;
}

std::string join_chunks(std::span<const std::string> translations, std::span<const Chunk> chunks) {
  if (translations.size() != chunks.size())
    throw Error(Error::Kind::bug, "join_chunks",
                std::to_string(translations.size()) + " translations of " + std::to_string(chunks.size()) +
                    " chunks");
  std::string out;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (i > 0) out += between(translations[i - 1], chunks[i - 1], translations[i]);
    out += translations[i];
  }
  return out;
}

}  // namespace fovea::text
