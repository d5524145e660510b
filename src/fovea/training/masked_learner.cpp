#include "fovea/training/masked_learner.h"

#include <cmath>

namespace fovea::training {

double MaskedLearner::guessing() const { return std::log(static_cast<double>(model_.vocabulary())); }

std::int64_t MaskedLearner::take(std::int64_t count, std::int64_t /*update*/) {
  taken_.clear();
  std::int64_t masked = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    taken_.push_back(batcher_.next());
    masked += std::ssize(taken_.back().targets);
  }
  return masked;
}

ops::LossSums MaskedLearner::loss(const ops::Context& ctx, std::int64_t i, float weight) {
  const data::MaskedBatch& batch = taken_.at(static_cast<std::size_t>(i));
  return model_.token_loss(ctx, {.tokens = batch.tokens, .types = {}, .start = batch.start}, batch.rows,
                           batch.targets, static_cast<float>(options_.label_smoothing), weight);
}

}  // namespace fovea::training
