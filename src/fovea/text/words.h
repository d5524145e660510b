#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/normaliser.h"

namespace fovea::text {

/// A text and where its words lie in it. Words are what blanks (ASCII white space) stand between in the line
/// it came from: the units that word alignments count.
struct Words {
  std::string text;
  std::vector<TextRange> ranges;  ///< of each word, in order; they do not overlap

  std::size_t size() const { return ranges.size(); }
  std::string_view operator[](std::size_t i) const {
    return std::string_view(text).substr(ranges[i].begin, ranges[i].end - ranges[i].begin);
  }
};

/// The words of a line as it is.
Words split_words(std::string line);

/// The words of a tokenised line written as people write: no space between Chinese or Japanese characters
/// ("我 是" becomes "我是"), none before closing punctuation or after what opens ("( yes ) ." becomes
/// "(yes)."), straight quotation marks open and close by turns, and parts that tokenizers cut off ("do n't",
/// "it 's") are joined again. The bytes of every word stay what they are.
Words detokenised_words(std::string_view line);

/// How much of a word a piece of the text covers: `share` is the part of the piece's bytes that lie in the
/// word.
struct WordShare {
  std::size_t word;
  float share;
};
/// For each piece the words it lies in, shares adding up to 1; none for a piece that lies in none.
std::vector<std::vector<WordShare>> word_shares(std::span<const TextRange> pieces, const Words& words);

}  // namespace fovea::text
