#pragma once

#include <filesystem>

#include "fovea/decoding/translation.h"

namespace fovea::decoding {

/// The search that a model's makers found best: `folder`/generation_config.json, if there is one; what it
/// does not speak of stays as in TranslateOptions. With do_sample the beam is 1. Throws Error(model) for a
/// faulty file.
TranslateOptions generation_options(const std::filesystem::path& folder);

}  // namespace fovea::decoding
