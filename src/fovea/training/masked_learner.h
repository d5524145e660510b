#pragma once

#include "fovea/data/masked_corpus.h"
#include "fovea/models/bert.h"
#include "fovea/training/batch_learner.h"

namespace fovea::training {

/// A model that learns what stands behind masks.
class MaskedLearner : public BatchLearner<models::Bert, data::MaskedBatcher> {
 public:
  using BatchLearner::BatchLearner;

  double guessing() const override;
  ops::LossSums loss(const ops::Context& ctx, std::int64_t i, float weight) override;

 private:
  std::int64_t units_of(const Batch& batch) const override { return std::ssize(batch.targets); }
};

}  // namespace fovea::training
