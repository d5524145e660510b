#pragma once

#include "fovea/data/piece_batcher.h"
#include "fovea/models/language_model.h"
#include "fovea/training/batch_learner.h"

namespace fovea::training {

/// A language model that learns from pieces of documents.
class LanguageLearner : public BatchLearner<models::LanguageModel, data::PieceBatcher> {
 public:
  using BatchLearner::BatchLearner;

  double guessing() const override;
  ops::LossSums loss(const ops::Context& ctx, std::int64_t i, float weight) override;

 private:
  std::int64_t units_of(const Batch& batch) const override { return std::ssize(batch.next); }
};

}  // namespace fovea::training
