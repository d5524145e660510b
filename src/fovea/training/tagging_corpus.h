#pragma once

#include <filesystem>
#include <optional>

#include "fovea/data/labels.h"
#include "fovea/data/tagged_corpus.h"
#include "fovea/decoding/tagged_encoder.h"
#include "fovea/training/encoder_parts.h"

namespace fovea::training {

/// What a model that labels words learns from and is measured on.
struct TaggingCorpus {
  GivenTokenizer tokenizer;
  data::Labels labels;
  data::TaggedCorpus train;
  decoding::EncodedTags valid;  ///< empty without validation data
};

/// Reads the labelled words of the recipe from `folder`, trains a tokenizer unless one is given, and encodes
/// everything; sentences are cut to `max_tokens`. Throws Error(data) naming file and line: as
/// data::read_tagged does, or for a label that is not one of data.labels or occurs in validation only.
TaggingCorpus prepare_tagging(const Recipe& recipe, const std::filesystem::path& folder,
                              std::optional<GivenTokenizer> tokenizer, std::int64_t max_tokens,
                              const Notes& notes);

}  // namespace fovea::training
