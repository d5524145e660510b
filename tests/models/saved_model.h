#pragma once

#include <filesystem>

#include "fovea/base/file.h"
#include "fovea/models/translation_folder.h"

namespace fovea::models {

/// What of a model directory the model itself is read from, its weights stored as `dtype`.
inline void save(const TranslationModel& model, const TranslationConfig& config, DType dtype,
                 const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  write_atomically(folder / "config.json", config_json(config, {}, DType::f32));
  model.weights_file(dtype).save(folder / "model.safetensors");
}

}  // namespace fovea::models
