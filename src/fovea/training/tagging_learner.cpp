#include "fovea/training/tagging_learner.h"

#include <cmath>

namespace fovea::training {

double TaggingLearner::guessing() const { return std::log(static_cast<double>(model_.classes().size())); }

std::int64_t TaggingLearner::take(std::int64_t count, std::int64_t /*update*/) {
  taken_.clear();
  std::int64_t words = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    taken_.push_back(batcher_.next());
    words += std::ssize(taken_.back().labels);
  }
  return words;
}

ops::LossSums TaggingLearner::loss(const ops::Context& ctx, std::int64_t i, float weight) {
  const data::TaggedBatch& batch = taken_.at(static_cast<std::size_t>(i));
  return model_.token_loss(ctx, {.tokens = batch.tokens, .types = {}, .start = batch.start}, batch.rows,
                           batch.labels, static_cast<float>(options_.label_smoothing), weight);
}

}  // namespace fovea::training
