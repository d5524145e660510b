#include "fovea/training/translation_learner.h"

#include <cmath>

#include "fovea/training/scheduled_sampling.h"

namespace fovea::training {

double TranslationLearner::guessing() const {
  return std::log(static_cast<double>(model_.vocabulary().target));
}

std::int64_t TranslationLearner::take(std::int64_t count, std::int64_t update) {
  own_tokens_ = static_cast<float>(own_token_share(options_, update));
  return BatchLearner::take(count, update);
}

ops::LossSums TranslationLearner::loss(const ops::Context& ctx, std::int64_t i, float weight) {
  const data::Batch& batch = taken(i);
  return model_.loss(
      ctx,
      {batch.source, batch.source_start, batch.target_in, batch.target_out, batch.target_start, own_tokens_},
      label_smoothing(), weight);
}

}  // namespace fovea::training
