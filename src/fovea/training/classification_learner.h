#pragma once

#include <vector>

#include "fovea/data/labelled_corpus.h"
#include "fovea/models/text_classifier.h"
#include "fovea/training/learner.h"
#include "fovea/training/recipe.h"

namespace fovea::training {

/// A classifier that learns from texts and their labels.
class ClassificationLearner : public Learner {
 public:
  struct Words {
    std::int32_t unknown = -1;  ///< what a word is read as where word dropout hits it; -1: it never does
    std::vector<std::int32_t> special;  ///< what it never hits
  };
  /// Recipe, model and batcher must outlive the learner.
  ClassificationLearner(const Recipe& recipe, models::TextClassifier& model, data::LabelledBatcher& batcher,
                        Words words)
      : recipe_(recipe), model_(model), batcher_(batcher), words_(std::move(words)) {}

  models::TextClassifier& model() override { return model_; }
  std::string_view unit() const override { return "text"; }
  double guessing() const override;
  std::int64_t take(std::int64_t count, std::int64_t update) override;
  ops::LossSums loss(const ops::Context& ctx, std::int64_t i, float weight) override;
  data::BatchPosition position() const override { return batcher_.position(); }
  void seek(data::BatchPosition position) override { batcher_.seek(position); }

 private:
  void drop_words(const ops::Context& ctx, std::vector<std::int32_t>& tokens) const;

  const Recipe& recipe_;
  models::TextClassifier& model_;
  data::LabelledBatcher& batcher_;
  Words words_;
  std::vector<data::LabelledBatch> taken_;
};

}  // namespace fovea::training
