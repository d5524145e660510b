#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "fovea/models/translation_model.h"
#include "fovea/text/translation_tokenizer.h"

namespace fovea::cli {

/// `name` if it is not empty, else the folder of the bundled model: $FOVEA_MODEL, or models/ beside the
/// program's source tree or installation. Throws Error(model) if there is none.
std::string model_folder(const std::string& name);

/// A model and its tokenizer.
struct LoadedModel {
  std::unique_ptr<models::TranslationModel> model;
  text::TranslationTokenizer tokenizer;
};

/// Reads both and prints a warning for each of doubts(). Throws Error(model): not a model directory, or a
/// damaged one.
LoadedModel load_model(const std::string& folder);

/// A checkpoint of a run has weights but neither configuration nor tokenizer: throws Error(model) saying so.
void refuse_checkpoint(const std::filesystem::path& folder);

/// What makes a model doubtful that can be used all the same, a line each: weights that are not finite, a
/// tokenizer that seems to be of another model or fails its own samples, keys that ask for code from
/// elsewhere (it is never run).
std::vector<std::string> doubts(const std::string& folder, const models::TranslationModel& model,
                                const text::TranslationTokenizer& tokenizer);

}  // namespace fovea::cli
