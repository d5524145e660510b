#pragma once

#include "fovea/models/translation_model.h"
#include "fovea/training/batch_learner.h"

namespace fovea::training {

/// A translation model that learns from sentence pairs.
class TranslationLearner : public BatchLearner<models::TranslationModel, data::Batcher> {
 public:
  using BatchLearner::BatchLearner;

  double guessing() const override;
  std::int64_t take(std::int64_t count, std::int64_t update) override;
  ops::LossSums loss(const ops::Context& ctx, std::int64_t i, float weight) override;

 private:
  std::int64_t units_of(const Batch& batch) const override { return std::ssize(batch.target_out); }

  float own_tokens_ = 0.0f;  // share of scheduled sampling
};

}  // namespace fovea::training
