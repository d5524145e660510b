#pragma once

#include "fovea/data/tagged_corpus.h"
#include "fovea/models/bert.h"
#include "fovea/training/batch_learner.h"

namespace fovea::training {

/// A model that learns the labels of words.
class TaggingLearner : public BatchLearner<models::Bert, data::TaggedBatcher> {
 public:
  using BatchLearner::BatchLearner;

  std::string_view unit() const override { return "word"; }
  double guessing() const override;
  ops::LossSums loss(const ops::Context& ctx, std::int64_t i, float weight) override;

 private:
  std::int64_t units_of(const Batch& batch) const override { return std::ssize(batch.labels); }
};

}  // namespace fovea::training
