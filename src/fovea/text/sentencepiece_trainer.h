#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::text {

/// How to train a SentencePiece model. The special pieces are `</s>` = 0, `<unk>` = 1, `<pad>` = 2, as a
/// MarianMT model wants them; there is no beginning of sentence.
struct SentencePieceTraining {
  enum class Kind { unigram, bpe, characters, words };

  Kind kind = Kind::unigram;
  /// Pieces, the special ones and the 256 bytes included; of characters and of words at most so many, the
  /// most frequent.
  std::int32_t vocabulary_size = 8000;
  bool exact_size = true;  ///< false: a smaller vocabulary where the text gives no more
  bool byte_fallback = true;
  double character_coverage =
      0.9998;  ///< share of characters that get a piece; the rarest rest is unknown or bytes
  std::string normalisation =
      "nmt_nfkc";  ///< nmt_nfkc, nfkc, nmt_nfkc_cf or nfkc_cf (these fold case), identity
  std::vector<std::string> user_symbols = {};  ///< pieces that are always kept whole; without commas
  std::size_t max_lines = 0;                   ///< train on that many lines drawn at random; 0 = all
  std::uint64_t seed = 1;                      ///< of the draw
  int threads = 4;  ///< part of the result (sums are taken by thread), so it does not follow the machine
};

/// Trains on `lines` with Debian's libsentencepiece and returns the bytes of the model file. The same options
/// and lines give the same bytes; nothing is printed. Lines of more than 4,000 bytes are trained on in parts.
/// Throws Error(usage) for options that make no sense; Error(data) if no line holds a letter or digit, or if
/// the vocabulary cannot have this size with this text: the message names the largest or smallest possible.
/// Cost: about a second per 30,000 sentences.
std::string train_sentencepiece(const SentencePieceTraining& options, const std::vector<std::string>& lines);

}  // namespace fovea::text
