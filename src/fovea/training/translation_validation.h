#pragma once

#include "fovea/models/translation_model.h"
#include "fovea/training/corpus.h"
#include "fovea/training/validation.h"

namespace fovea::training {

/// Loss and, if `beam` is above 0, BLEU of the corpus' validation pairs by translating them with that beam.
ValidationResult validate_translation(const models::TranslationModel& model, const Corpus& corpus,
                                      const Recipe& recipe, std::int64_t beam,
                                      const kernels::Execution& exec);

}  // namespace fovea::training
