#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::views {

/// Who attends to whom: what every picture of attention is drawn from.
struct AttentionMatrix {
  std::vector<std::string> source;  ///< S tokens or pieces, attended to
  std::vector<std::string> target;  ///< T tokens or pieces, attending
  std::vector<float> weights;       ///< [T, S], each 0 to 1, a row sums to 1
  /// Where the second of two texts begins among the source tokens and the target tokens; 0: there is one.
  std::size_t source_second = 0, target_second = 0;

  float at(std::size_t t, std::size_t s) const { return weights[t * source.size() + s]; }
};

/// Throws Error (bug) unless there are T*S weights.
void check_matrix(const AttentionMatrix& matrix);

/// The words that SentencePiece pieces make.
struct PieceWords {
  std::vector<std::size_t> of_piece;  ///< for each piece the number of its word, from 0 on, rising
  std::vector<std::string> words;
};

/// A word begins with ▁ (U+2581). Symbols such as </s> stand alone, and so does punctuation that ends a word
/// ("." in "bicycles.") and each piece of a script without blanks (Han, kana, Thai, ...). Byte pieces
/// (<0xC3>) become the bytes they spell.
PieceWords join_pieces(const std::vector<std::string>& pieces);

/// Whether a token is a symbol such as </s>, <pad> or [CLS], not text (nor a byte piece).
bool is_symbol(std::string_view token);

/// The matrix of words (join_pieces) from the matrix of SentencePiece pieces: sums over the source pieces of
/// a word (what goes to the word in all), averages over the target pieces (each of them paid its whole
/// attention). Throws Error (bug) unless there are T*S weights.
AttentionMatrix merge_pieces(const AttentionMatrix& pieces);

/// A token as a label: ▁ as a space, no blanks at the ends, ␣ if nothing is left. ⋯ for an empty one, which
/// spells a further part of the character before it.
std::string label(const std::string& token);

}  // namespace fovea::views
