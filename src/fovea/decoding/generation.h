#pragma once

#include "fovea/decoding/generator.h"
#include "fovea/decoding/translator.h"
#include "fovea/models/generation_defaults.h"

namespace fovea::decoding {

/// The search that a model's makers ask for; what their file does not speak of stays as in TranslateOptions.
/// With do_sample the beam is 1. A beam wider than is built here is narrowed; groups that do not divide the
/// beam are left out.
TranslateOptions options_of(const models::GenerationDefaults& generation);

/// The same of a language model. Where its makers say nothing of a greatest length, 128 tokens follow.
GenerateOptions generate_options_of(const models::ContinuationDefaults& generation);

}  // namespace fovea::decoding
