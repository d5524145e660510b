#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/encoding.h"

namespace fovea::text {

/// Words that somebody has cut, in the text that a tokenizer reads.
struct GivenWords {
  std::string text;
  std::vector<TextRange> ranges;  ///< of each word, bytes of the text

  /// The words with a space between them; of spaces inside a word the text keeps each.
  static GivenWords joined(std::span<const std::string> words);
  /// The words that white space parts in `text`.
  static GivenWords spaced(std::string_view text);

  std::string word(std::size_t i) const {
    return text.substr(ranges[i].begin, ranges[i].end - ranges[i].begin);
  }
  /// Of each word its first token in an encoding of the text; -1 if it has none of its own.
  std::vector<std::int32_t> first_tokens(const Encoding& encoding) const;
};

}  // namespace fovea::text
