#pragma once

#include "fovea/models/translation_model.h"
#include "fovea/training/corpus.h"
#include "fovea/training/validation.h"

namespace fovea::training {

/// Loss and, if `beam` is above 0, what the recipe's validate_metric counts in translations of the corpus'
/// validation pairs with that beam. Pairs of one source are its alternatives: it is translated once, and
/// error rates go by the nearest.
ValidationResult validate_translation(const models::TranslationModel& model, const Corpus& corpus,
                                      const Recipe& recipe, std::int64_t beam,
                                      const kernels::Execution& exec);

}  // namespace fovea::training
