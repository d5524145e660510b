#include "fovea/text/words.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <array>
#include <map>

#include "fovea/base/error.h"
#include "fovea/text/utf8.h"

namespace fovea::text {
namespace {

constexpr std::string_view blanks = " \t\n\r\f\v";

TextRange range_of(std::size_t begin, std::size_t end) {
  if (end > 0x7FFFFFFF) throw Error(Error::Kind::data, "words", "a line is longer than 2 GB");
  return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
}

char32_t first_of(std::string_view word) { return decode_utf8(word).code_point; }

char32_t last_of(std::string_view word) {
  std::size_t at = word.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(word[at]) & 0xC0) == 0x80) --at;
  return decode_utf8(word.substr(at)).code_point;
}

/// Whether a script that is written without spaces has this character, or it is as wide as theirs.
bool is_unspaced(char32_t c) {
  const auto code = static_cast<UChar32>(c);
  UErrorCode error = U_ZERO_ERROR;
  switch (uscript_getScript(code, &error)) {
    case USCRIPT_HAN:
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
      return true;
    default:
      break;
  }
  const auto width = u_getIntPropertyValue(code, UCHAR_EAST_ASIAN_WIDTH);
  return (width == U_EA_FULLWIDTH || width == U_EA_WIDE) && u_ispunct(code);
}

/// Whether punctuation of these general categories is all there is in the word.
bool all_of_categories(std::string_view word, std::uint32_t categories) {
  while (!word.empty()) {
    const Decoded decoded = decode_utf8(word);
    if (!(U_GET_GC_MASK(static_cast<UChar32>(decoded.code_point)) & categories)) return false;
    word.remove_prefix(decoded.length);
  }
  return true;
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> list) {
  return std::ranges::find(list, word) != list.end();
}

bool opens(std::string_view word) {
  return all_of_categories(word, U_GC_PS_MASK | U_GC_PI_MASK) || is_one_of(word, {"\u00BF", "\u00A1"});
}

bool closes(std::string_view word) {
  return all_of_categories(word, U_GC_PE_MASK | U_GC_PF_MASK) ||
         is_one_of(word, {".", ",", ";", ":", "!", "?", "...", "\u2026", "%"});
}

/// What tokenizers of English cut off a word's end.
bool is_clitic(std::string_view word) {
  if (is_one_of(word, {"n't", "N'T", "n\u2019t"})) return true;
  for (const std::string_view apostrophe : {"'", "\u2019"})
    if (word.starts_with(apostrophe)) {
      std::string rest(word.substr(apostrophe.size()));
      std::ranges::transform(rest, rest.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
      return is_one_of(rest, {"s", "t", "m", "d", "re", "ve", "ll"});
    }
  return false;
}

/// Says, word after word, whether a space stands before it.
class Spacing {
 public:
  bool before(std::string_view word) {
    const bool quote = is_one_of(word, {"\"", "'"});
    const bool closing = quote ? open_[word] : closes(word) || is_clitic(word);
    const bool opening = quote ? !open_[word] : opens(word);
    if (quote) open_[word] = !open_[word];
    const bool space = !previous_.empty() && !after_opening_ && !closing &&
                       !(is_unspaced(last_of(previous_)) || is_unspaced(first_of(word)));
    previous_ = word;
    after_opening_ = opening;
    return space;
  }

 private:
  std::map<std::string_view, bool> open_;  // straight quotation marks that were opened
  std::string_view previous_;
  bool after_opening_ = false;
};

template <class Visit>
void for_each_word(std::string_view line, const Visit& visit) {
  for (std::size_t at = line.find_first_not_of(blanks); at != std::string_view::npos;
       at = line.find_first_not_of(blanks, at)) {
    const std::size_t end = std::min(line.find_first_of(blanks, at), line.size());
    visit(at, end);
    at = end;
  }
}

}  // namespace

Words split_words(std::string line) {
  Words words;
  for_each_word(line,
                [&](std::size_t begin, std::size_t end) { words.ranges.push_back(range_of(begin, end)); });
  words.text = std::move(line);
  return words;
}

Words detokenised_words(std::string_view line) {
  Words words;
  Spacing spacing;
  for_each_word(line, [&](std::size_t begin, std::size_t end) {
    const std::string_view word = line.substr(begin, end - begin);
    if (spacing.before(word)) words.text.push_back(' ');
    words.ranges.push_back(range_of(words.text.size(), words.text.size() + word.size()));
    words.text.append(word);
  });
  return words;
}

std::vector<std::vector<WordShare>> word_shares(std::span<const TextRange> pieces, const Words& words) {
  std::vector<std::vector<WordShare>> out(pieces.size());
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    const TextRange piece = pieces[p];
    if (piece.empty()) continue;
    auto word = std::ranges::upper_bound(words.ranges, piece.begin, {}, &TextRange::end);
    float sum = 0;
    for (; word != words.ranges.end() && word->begin < piece.end; ++word) {
      const auto shared = std::min(piece.end, word->end) - std::max(piece.begin, word->begin);
      out[p].push_back({static_cast<std::size_t>(word - words.ranges.begin()), static_cast<float>(shared)});
      sum += static_cast<float>(shared);
    }
    for (WordShare& share : out[p]) share.share /= sum;
  }
  return out;
}

}  // namespace fovea::text
