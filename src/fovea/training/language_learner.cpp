#include "fovea/training/language_learner.h"

#include <cmath>

namespace fovea::training {

double LanguageLearner::guessing() const { return std::log(static_cast<double>(model_.vocabulary().size)); }

std::int64_t LanguageLearner::take(std::int64_t count, std::int64_t /*update*/) {
  taken_.clear();
  std::int64_t tokens = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    taken_.push_back(batcher_.next());
    tokens += std::ssize(taken_.back().next);
  }
  return tokens;
}

ops::LossSums LanguageLearner::loss(const ops::Context& ctx, std::int64_t i, float weight) {
  const data::PieceBatch& batch = taken_.at(static_cast<std::size_t>(i));
  return model_.loss(ctx, {batch.tokens, batch.next, batch.start},
                     static_cast<float>(options_.label_smoothing), weight);
}

}  // namespace fovea::training
