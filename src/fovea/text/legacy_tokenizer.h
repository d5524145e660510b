#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea/formats/json.h"

namespace fovea::text {

/// The tokenizer of a model directory from before tokenizer.json, put as one: what Transformers makes of the
/// same files.
struct LegacyTokenizer {
  std::string json;   ///< a tokenizer.json
  std::string where;  ///< the file it was made of, for messages
  /// Special tokens that this kind of tokenizer has where its files say nothing: "eos_token" and "</s>".
  std::vector<std::pair<std::string, std::string>> special;
};

/// Reads, by what is there and what tokenizer_config.json ("tokenizer_class") or config.json ("model_type")
/// say of it,
///   vocab.txt                            WordPiece: BERT, DistilBERT, Electra, ...
///   vocab.json, merges.txt               byte-level BPE: GPT-2; RoBERTa, BART, Longformer; Qwen2
///   spiece.model, spm.model,
///   sentencepiece.bpe.model, tokenizer.model  SentencePiece: T5 with its extra ids; XLM-R; mBART with its
///   languages; Llama
/// with added_tokens.json, special_tokens_map.json and the "added_tokens_decoder" of tokenizer_config.json.
/// Nothing if none of them is there. Throws Error(model) naming file and fault; for a class of other rules
/// too.
std::optional<LegacyTokenizer> read_legacy_tokenizer(const std::filesystem::path& directory);

}  // namespace fovea::text
