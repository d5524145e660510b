#pragma once

#include <vector>

#include "fovea/data/labelled_corpus.h"
#include "fovea/models/text_classifier.h"
#include "fovea/training/batch_learner.h"

namespace fovea::training {

/// A classifier that learns from texts and their labels.
class ClassificationLearner : public BatchLearner<models::TextClassifier, data::LabelledBatcher> {
 public:
  struct Words {
    std::int32_t unknown = -1;  ///< what a word is read as where word dropout hits it; -1: it never does
    std::vector<std::int32_t> special;  ///< what it never hits
  };
  /// Recipe, model and batcher must outlive the learner.
  ClassificationLearner(const Recipe& recipe, models::TextClassifier& model, data::LabelledBatcher& batcher,
                        Words words)
      : BatchLearner(recipe.training, model, batcher), recipe_(recipe), words_(std::move(words)) {}

  std::string_view unit() const override { return "text"; }
  double guessing() const override;
  ops::LossSums loss(const ops::Context& ctx, std::int64_t i, float weight) override;

 private:
  std::int64_t units_of(const Batch& batch) const override { return std::ssize(batch.labels); }
  void drop_words(const ops::Context& ctx, std::vector<std::int32_t>& tokens) const;

  const Recipe& recipe_;
  Words words_;
};

}  // namespace fovea::training
