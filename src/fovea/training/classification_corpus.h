#pragma once

#include <filesystem>
#include <optional>

#include "fovea/data/labelled_corpus.h"
#include "fovea/data/labels.h"
#include "fovea/training/encoder_parts.h"

namespace fovea::training {

/// What a classifier learns from and is measured on.
struct ClassificationCorpus {
  GivenTokenizer tokenizer;
  data::Labels labels;
  data::LabelledCorpus train, valid;  ///< `valid` is empty without validation data
};

/// Reads the labelled texts of the recipe from `folder`, trains a tokenizer unless one is given, and encodes
/// everything; texts are cut to `max_tokens`. Throws Error(data) naming file and line: as
/// data::read_labelled does, or for a label that is not one of data.labels or occurs in validation only.
ClassificationCorpus prepare_classification(const Recipe& recipe, const std::filesystem::path& folder,
                                            std::optional<GivenTokenizer> tokenizer, std::int64_t max_tokens,
                                            const Notes& notes);

}  // namespace fovea::training
