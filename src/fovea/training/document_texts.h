#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "fovea/training/recipe.h"
#include "fovea/training/task.h"

namespace fovea::training {

/// The text of a recipe, document by document: what is learned, and what it is measured on (none: nothing).
struct DocumentTexts {
  std::vector<std::string> train, valid;
};

/// Reads [data] of the recipe from `folder`; without validation files the end of the training data is set
/// apart. Says of what is not UTF-8 that it was repaired, and where. Throws Error(data).
DocumentTexts read_document_texts(const Recipe& recipe, const std::filesystem::path& folder,
                                  const Notes& notes);

}  // namespace fovea::training
