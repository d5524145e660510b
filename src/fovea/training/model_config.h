#pragma once

#include "fovea/decoding/translator.h"
#include "fovea/models/translation_folder.h"
#include "fovea/text/translation_tokenizer.h"
#include "fovea/training/recipe.h"

namespace fovea::training {

/// The architecture that a recipe describes, for the vocabularies of `tokenizer`.
/// Throws Error(usage) if it cannot be built.
models::TranslationConfig model_config(const Recipe& recipe, const text::TranslationTokenizer& tokenizer);

/// How a model is validated: by the recipe's constraints, for the best of one beam of so many hypotheses.
decoding::TranslateOptions translate_options(const DecodingOptions& options, std::int64_t beam);

}  // namespace fovea::training
