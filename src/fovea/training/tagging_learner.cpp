#include "fovea/training/tagging_learner.h"

#include <cmath>

namespace fovea::training {

double TaggingLearner::guessing() const { return std::log(static_cast<double>(model_.classes().size())); }

ops::LossSums TaggingLearner::loss(const ops::Context& ctx, std::int64_t i, float weight) {
  const data::TaggedBatch& batch = taken(i);
  return model_.token_loss(ctx, {.tokens = batch.tokens, .types = {}, .start = batch.start}, batch.rows,
                           batch.labels, label_smoothing(), weight);
}

}  // namespace fovea::training
