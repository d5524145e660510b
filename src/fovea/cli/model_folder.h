#pragma once

#include <memory>
#include <string>

#include "fovea/models/transformer.h"
#include "fovea/text/translation_tokenizer.h"

namespace fovea::cli {

/// `name` if it is not empty, else the folder of the bundled model: $FOVEA_MODEL, or models/ beside the program's source
/// tree or installation. Throws Error(model) if there is none.
std::string model_folder(const std::string& name);

/// A model and its tokenizer.
struct LoadedModel {
  std::unique_ptr<models::Transformer> model;
  text::TranslationTokenizer tokenizer;
};
LoadedModel load_model(const std::string& folder);

}  // namespace fovea::cli
