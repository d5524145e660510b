#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fovea::text {

/// A word and how often it occurs.
using WordCount = std::pair<std::string, std::int64_t>;

/// At most `size` pieces for WordPiece: the characters of the words, the most frequent ones, as they begin a
/// word and, with "##", as they go on in it; then what the most frequent pairs of neighbours make, one merge
/// after the other. Among equals the pair that is first in order of its pieces.
/// Source   Schuster and Nakajima 2012; merges by frequency as in Sennrich et al. 2016, which is how
///          huggingface/tokenizers trains WordPiece
std::vector<std::string> learn_word_pieces(const std::vector<WordCount>& words, std::size_t size);

}  // namespace fovea::text
