#include "fovea/views/attention_matrix.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "fovea/base/error.h"

namespace fovea::views {
namespace {

constexpr std::string_view word_start = "\u2581";

/// The byte that a piece such as <0xC3> spells.
std::optional<char> spelt_byte(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, value, 16);
  if (error != std::errc() || end != piece.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

bool is_punctuation(std::string_view piece) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(piece.data());
  for (std::size_t i = 0; i < piece.size();) {
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(data, i, piece.size(), c);
    if (!u_ispunct(c)) return false;
  }
  return !piece.empty();
}

/// Whether a character belongs to a script that puts no blanks between words: Han, kana, Thai, Khmer, ...
bool is_of_script_without_blanks(UChar32 c) {
  const int kind = u_getIntPropertyValue(c, UCHAR_LINE_BREAK);
  return kind == U_LB_IDEOGRAPHIC || kind == U_LB_CONDITIONAL_JAPANESE_STARTER ||
         kind == U_LB_COMPLEX_CONTEXT;
}

/// Whether one piece ends, or the next begins, in such a script: each is then a word.
bool are_words_without_blank(std::string_view piece, std::string_view next) {
  if (spelt_byte(piece) || spelt_byte(next) || piece.empty() || next.empty()) return false;
  UChar32 last = 0, first = 0;
  auto end = static_cast<std::int32_t>(piece.size());
  std::int32_t begin = 0;
  U8_PREV_OR_FFFD(reinterpret_cast<const std::uint8_t*>(piece.data()), 0, end, last);
  U8_NEXT_OR_FFFD(reinterpret_cast<const std::uint8_t*>(next.data()), begin,
                  static_cast<std::int32_t>(next.size()), first);
  return is_of_script_without_blanks(last) || is_of_script_without_blanks(first);
}

bool begins_word(std::string_view piece) { return piece.starts_with(word_start) || is_symbol(piece); }

/// For each piece the word it belongs to.
std::vector<std::size_t> words_of(const std::vector<std::string>& pieces) {
  std::vector<std::size_t> words;
  std::size_t word = 0;
  bool tail = false;  // in the punctuation that ends a word
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    bool begins = begins_word(pieces[i]) ||
                  (i > 0 && (is_symbol(pieces[i - 1]) || are_words_without_blank(pieces[i - 1], pieces[i])));
    if (begins) tail = false;
    if (!begins && !tail && is_punctuation(pieces[i])) {
      std::size_t end = i;
      while (end < pieces.size() && !begins_word(pieces[end]) && is_punctuation(pieces[end])) ++end;
      begins = tail = end == pieces.size() || begins_word(pieces[end]);
    }
    if (begins && i > 0) ++word;
    words.push_back(word);
  }
  return words;
}

std::vector<std::string> joined(const std::vector<std::string>& pieces,
                                const std::vector<std::size_t>& words) {
  std::vector<std::string> out(words.empty() ? 0 : words.back() + 1);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (const auto byte = spelt_byte(pieces[i])) {
      out[words[i]] += *byte;
    } else {
      out[words[i]] += pieces[i];
    }
  }
  return out;
}

}  // namespace

bool is_symbol(std::string_view token) {
  if (token.size() > 2 && token.front() == '[' && token.back() == ']')
    return std::ranges::all_of(token.substr(1, token.size() - 2),
                               [](char c) { return c >= 'A' && c <= 'Z'; });
  return token.size() > 2 && token.front() == '<' && token.back() == '>' && !token.starts_with("<0x");
}

PieceWords join_pieces(const std::vector<std::string>& pieces) {
  auto of_piece = words_of(pieces);
  auto words = joined(pieces, of_piece);
  return {std::move(of_piece), std::move(words)};
}

void check_matrix(const AttentionMatrix& matrix) {
  if (matrix.weights.size() == matrix.source.size() * matrix.target.size()) return;
  throw Error(Error::Kind::bug, "views",
              std::to_string(matrix.weights.size()) + " attention weights for [" +
                  std::to_string(matrix.target.size()) + ", " + std::to_string(matrix.source.size()) +
                  "] (target, source) tokens");
}

AttentionMatrix merge_pieces(const AttentionMatrix& pieces) {
  check_matrix(pieces);
  auto [source_words, sources] = join_pieces(pieces.source);
  auto [target_words, targets] = join_pieces(pieces.target);
  AttentionMatrix out{std::move(sources), std::move(targets), {}};
  if (pieces.source_second > 0) out.source_second = source_words[pieces.source_second];
  if (pieces.target_second > 0) out.target_second = target_words[pieces.target_second];
  out.weights.assign(out.source.size() * out.target.size(), 0.0f);
  std::vector<float> pieces_in(out.target.size(), 0.0f);
  for (const auto word : target_words) pieces_in[word] += 1.0f;
  for (std::size_t t = 0; t < pieces.target.size(); ++t) {
    float* row = out.weights.data() + target_words[t] * out.source.size();
    for (std::size_t s = 0; s < pieces.source.size(); ++s) {
      row[source_words[s]] += pieces.at(t, s) / pieces_in[target_words[t]];
    }
  }
  return out;
}

std::string label(const std::string& token) {
  if (token.empty()) return "⋯";
  std::string out;
  for (std::size_t i = 0; i < token.size();) {
    const bool blank = token.compare(i, word_start.size(), word_start) == 0;
    out.push_back(blank ? ' ' : token[i]);
    i += blank ? word_start.size() : 1;
  }
  const auto begin = out.find_first_not_of(' ');
  if (begin == std::string::npos) return "␣";
  return out.substr(begin, out.find_last_not_of(' ') - begin + 1);
}

}  // namespace fovea::views
