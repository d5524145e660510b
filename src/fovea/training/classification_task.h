#pragma once

#include <memory>

#include "fovea/models/classifier_folder.h"
#include "fovea/training/classification_corpus.h"
#include "fovea/training/classification_learner.h"
#include "fovea/training/task.h"

namespace fovea::training {

/// Classes of texts, learned from examples and judged by accuracy.
class ClassificationTask : public Task {
 public:
  /// The recipe must outlive the task.
  ClassificationTask(const Recipe& recipe, const TaskPlaces& places, const Notes& notes);

  Learner& learner() override { return learner_; }
  Amount amount() override;
  std::uint64_t fingerprint() const override { return fingerprint_; }
  FolderFiles files() const override;
  bool validates() const override { return corpus_.valid.size() > 0; }
  const Metric* metric() const override { return &accuracy_metric; }
  ValidationResult validate(Care care, const kernels::Execution& exec) const override;
  void summarise(formats::JsonWriter& json, const ValidationResult* final) const override;

 private:
  const Recipe& recipe_;
  ClassificationCorpus corpus_;
  std::uint64_t fingerprint_;
  models::ClassifierConfig config_;
  std::unique_ptr<models::TextClassifier> model_;
  data::LabelledBatcher batcher_;
  ClassificationLearner learner_;
};

}  // namespace fovea::training
