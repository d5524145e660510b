#pragma once

#include <vector>

#include "fovea/data/masked_corpus.h"
#include "fovea/models/bert.h"
#include "fovea/training/learner.h"
#include "fovea/training/recipe.h"

namespace fovea::training {

/// A model that learns what stands behind masks.
class MaskedLearner : public Learner {
 public:
  /// All arguments must outlive the learner.
  MaskedLearner(const TrainingOptions& options, models::Bert& model, data::MaskedBatcher& batcher)
      : options_(options), model_(model), batcher_(batcher) {}

  models::Bert& model() override { return model_; }
  double guessing() const override;
  std::int64_t take(std::int64_t count, std::int64_t update) override;
  ops::LossSums loss(const ops::Context& ctx, std::int64_t i, float weight) override;
  data::BatchPosition position() const override { return batcher_.position(); }
  void seek(data::BatchPosition position) override { batcher_.seek(position); }

 private:
  const TrainingOptions& options_;
  models::Bert& model_;
  data::MaskedBatcher& batcher_;
  std::vector<data::MaskedBatch> taken_;
};

}  // namespace fovea::training
