#pragma once

#include <vector>

#include "fovea/data/piece_batcher.h"
#include "fovea/models/language_model.h"
#include "fovea/training/learner.h"
#include "fovea/training/recipe.h"

namespace fovea::training {

/// A language model that learns from pieces of documents.
class LanguageLearner : public Learner {
 public:
  /// All arguments must outlive the learner.
  LanguageLearner(const TrainingOptions& options, models::LanguageModel& model, data::PieceBatcher& batcher)
      : options_(options), model_(model), batcher_(batcher) {}

  models::LanguageModel& model() override { return model_; }
  double guessing() const override;
  std::int64_t take(std::int64_t count, std::int64_t update) override;
  ops::LossSums loss(const ops::Context& ctx, std::int64_t i, float weight) override;
  data::BatchPosition position() const override { return batcher_.position(); }
  void seek(data::BatchPosition position) override { batcher_.seek(position); }

 private:
  const TrainingOptions& options_;
  models::LanguageModel& model_;
  data::PieceBatcher& batcher_;
  std::vector<data::PieceBatch> taken_;
};

}  // namespace fovea::training
