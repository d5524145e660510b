#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
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

/// The same but for what differs between trainings of one model: its dropout.
AnyConfig without_dropout(AnyConfig config);
/// config.json of a model of f32 weights.
std::string config_json(const AnyConfig& config);

/// The model in a directory, to be looked at or written again: as f32, nothing packed. Throws Error(model):
/// not a model directory, or a damaged one.
std::unique_ptr<Model> load_any_model(const std::filesystem::path& directory);
/// The same with the weights of another directory: of a checkpoint, what its run describes.
std::unique_ptr<Model> load_any_model(const std::filesystem::path& described,
                                      const std::filesystem::path& weighed);

/// The same to answer by exec's kernels, its weights as `dtype`; if that is not given, as those who run
/// models of its kind hold them then.
std::unique_ptr<Model> load_any_model_for_inference(const std::filesystem::path& directory,
                                                    const kernels::Execution& exec,
                                                    std::optional<DType> dtype = {});

}  // namespace fovea::models
