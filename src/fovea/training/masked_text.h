#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "fovea/data/masked_corpus.h"
#include "fovea/training/encoder_parts.h"

namespace fovea::training {

/// What a masked language model learns from and is measured on.
struct MaskedText {
  GivenTokenizer tokenizer;
  data::MaskedCorpus train, valid;  ///< `valid` is empty without validation data
  std::int64_t documents = 0;       ///< of training
};

/// Reads the text of the recipe from `folder`, trains a tokenizer unless one is given, and encodes everything
/// in pieces of at most `max_tokens`. Throws Error(data) as reading and learning do, or if there is nothing
/// to learn from.
MaskedText prepare_masked_text(const Recipe& recipe, const std::filesystem::path& folder,
                               std::optional<GivenTokenizer> tokenizer, std::int64_t max_tokens,
                               const Notes& notes);

/// How the recipe masks: with the tokenizer's mask, and any of its tokens that is not special in the place of
/// another. Throws Error(model) if the tokenizer has no mask.
data::Masking masking_of(const Recipe& recipe, const text::Tokenizer& tokenizer);

}  // namespace fovea::training
