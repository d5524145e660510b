#pragma once

#include <vector>

#include "fovea/models/translation_model.h"
#include "fovea/training/learner.h"
#include "fovea/training/recipe.h"

namespace fovea::training {

/// A translation model that learns from sentence pairs.
class TranslationLearner : public Learner {
 public:
  /// All arguments must outlive the learner.
  TranslationLearner(const TrainingOptions& options, models::TranslationModel& model, data::Batcher& batcher)
      : options_(options), model_(model), batcher_(batcher) {}

  models::TranslationModel& model() override { return model_; }
  double guessing() const override;
  std::int64_t take(std::int64_t count, std::int64_t update) override;
  ops::LossSums loss(const ops::Context& ctx, std::int64_t i, float weight) override;
  data::BatchPosition position() const override { return batcher_.position(); }
  void seek(data::BatchPosition position) override { batcher_.seek(position); }

 private:
  const TrainingOptions& options_;
  models::TranslationModel& model_;
  data::Batcher& batcher_;
  std::vector<data::Batch> taken_;
  float own_tokens_ = 0.0f;  // share of scheduled sampling
};

}  // namespace fovea::training
