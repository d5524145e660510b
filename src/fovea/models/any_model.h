#pragma once

#include <filesystem>
#include <memory>
#include <variant>

#include "fovea/formats/json.h"
#include "fovea/models/classifier_folder.h"
#include "fovea/models/language_folder.h"
#include "fovea/models/translation_folder.h"

/// Model directories of every kind, for what is done with all of them alike.
namespace fovea::models {

/// What a model is made of, whatever it is for.
using AnyConfig = std::variant<TranslationConfig, LanguageConfig, ClassifierConfig>;

/// What a config.json describes, by its model_type. Throws Error(model) naming file and key.
AnyConfig read_any_config(const formats::Json& config);
/// The same of a directory.
AnyConfig read_any_config(const std::filesystem::path& directory);

/// The model in a directory, to be looked at or written again: as f32, nothing packed. Throws Error(model):
/// not a model directory, or a damaged one.
std::unique_ptr<Model> load_any_model(const std::filesystem::path& directory);

}  // namespace fovea::models
