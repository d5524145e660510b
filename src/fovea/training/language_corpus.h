#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "fovea/data/document_corpus.h"
#include "fovea/data/document_ids.h"
#include "fovea/text/tokenizer.h"
#include "fovea/training/recipe.h"
#include "fovea/training/task.h"

namespace fovea::training {

/// What a language model learns from and is measured on.
struct LanguageCorpus {
  FolderFiles tokenizer_files;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  data::DocumentFrame frame;  ///< bos and eos as the tokenizer has them; of whole files only the beginning
  data::DocumentCorpus train, valid;
  std::int64_t train_characters = 0, valid_characters = 0;  ///< of the text itself
};

/// Reads the text of the recipe from `folder`, takes the tokenizer of the folder `tokenizer`, of
/// recipe.init or of the file that the recipe names, or else learns one, and encodes everything.
/// Throws Error(data), Error(usage), Error(model) as reading and learning do.
LanguageCorpus prepare_language_corpus(const Recipe& recipe, const std::filesystem::path& folder,
                                       const std::filesystem::path& tokenizer, const Notes& notes);

}  // namespace fovea::training
