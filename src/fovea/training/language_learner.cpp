#include "fovea/training/language_learner.h"

#include <cmath>

namespace fovea::training {

double LanguageLearner::guessing() const { return std::log(static_cast<double>(model_.vocabulary().size)); }

ops::LossSums LanguageLearner::loss(const ops::Context& ctx, std::int64_t i, float weight) {
  const data::PieceBatch& batch = taken(i);
  return model_.loss(ctx, {batch.tokens, batch.next, batch.start}, label_smoothing(), weight);
}

}  // namespace fovea::training
