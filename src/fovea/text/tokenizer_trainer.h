#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace fovea::text {

/// A vocabulary learned from text, and how it cuts a text up.
///   words        what is between spaces; punctuation apart, and "isn't" is "is", "n't", as in treebanks;
///                a Chinese character is a word
///   characters   every character but spaces
///   word_piece   words, the rare ones in pieces that occur often: the merges of byte pair encoding,
///                "##" before a piece inside a word, as for BERT
/// Special tokens come first: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4. A text becomes [CLS] A [SEP],
/// a pair [CLS] A [SEP] B [SEP].
struct TokenizerTraining {
  enum class Kind { words, characters, word_piece };
  Kind kind = Kind::words;
  std::int64_t size = 8000;      ///< tokens at most, the special ones included
  std::int64_t least_count = 1;  ///< words and characters that occur less often are unknown
  bool lowercase = true;         ///< and without accents
};

/// The tokenizer.json of such a vocabulary, the most frequent first; the same lines give the same bytes.
/// Throws Error(data) if the lines hold nothing to learn, Error(usage) for a size that has no room.
std::string train_tokenizer_json(const TokenizerTraining& options, std::span<const std::string> lines);

/// The tokenizer_config.json that goes with it, for a model that takes texts of so many tokens.
std::string tokenizer_config_json(std::int64_t max_length);

}  // namespace fovea::text
