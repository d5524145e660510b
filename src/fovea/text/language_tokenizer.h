#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

/// Vocabularies for language models, learned from text and written as the tokenizer.json that TokenizerJson
/// and Transformers' PreTrainedTokenizerFast read. A text comes back from its tokens byte for byte.
namespace fovea::text {

/// The token that stands between texts: it begins and ends each. Its id is 0.
inline constexpr std::string_view end_of_text = "<|endoftext|>";

struct LanguageTokenizerTraining {
  enum class Kind {
    characters,  ///< one token a character; characters that are too rare become <unk>, whose id is 1
    byte_pairs,  ///< of bytes, as GPT-2's: nothing is unknown (Radford et al. 2019, section 2.2)
  };
  Kind kind = Kind::characters;
  std::int64_t least_count = 1;  ///< characters that occur less often are unknown
  std::int64_t size = 8000;      ///< tokens of byte pairs, at most; the 256 bytes and end_of_text included
  bool begins = true;            ///< texts get an end_of_text in front where special tokens are asked for
};

/// tokenizer.json; the same documents give the same bytes. Throws Error(data) if the documents hold nothing
/// to learn, Error(usage) for a size that has no room.
std::string language_tokenizer_json(const LanguageTokenizerTraining& options,
                                    std::span<const std::string> documents);

/// The tokenizer_config.json that goes with it, for a model that reads so many tokens.
std::string language_tokenizer_config_json(LanguageTokenizerTraining::Kind kind, std::int64_t max_length);

}  // namespace fovea::text
