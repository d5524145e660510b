#include "fovea/training/masked_learner.h"

#include <cmath>

namespace fovea::training {

double MaskedLearner::guessing() const { return std::log(static_cast<double>(model_.vocabulary())); }

ops::LossSums MaskedLearner::loss(const ops::Context& ctx, std::int64_t i, float weight) {
  const data::MaskedBatch& batch = taken(i);
  return model_.token_loss(ctx, {.tokens = batch.tokens, .types = {}, .start = batch.start}, batch.rows,
                           batch.targets, label_smoothing(), weight);
}

}  // namespace fovea::training
