#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "fovea/data/token_corpus.h"
#include "fovea/text/translation_tokenizer.h"
#include "fovea/training/recipe.h"
#include "fovea/training/task.h"

namespace fovea::training {

/// What a run learns from and is measured on.
struct Corpus {
  text::TranslationTokenizer tokenizer;
  data::TokenCorpus train;
  data::TokenCorpus valid;                              ///< empty without validation data
  std::vector<std::string> valid_source, valid_target;  ///< the same as text
};

/// Reads the text of the recipe from `folder`, trains the tokenizer unless there is one (`tokenizer`, or
/// recipe.tokenizer.model), and encodes everything.
/// Throws Error(data) as data::PairReader and data::TokenCorpus do, Error(usage) if the recipe names no
/// training text.
Corpus prepare_corpus(const Recipe& recipe, const std::filesystem::path& folder,
                      std::optional<text::TranslationTokenizer> tokenizer, const Notes& notes);

}  // namespace fovea::training
