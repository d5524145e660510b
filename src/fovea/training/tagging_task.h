#pragma once

#include <memory>

#include "fovea/models/bert.h"
#include "fovea/training/tagging_corpus.h"
#include "fovea/training/tagging_learner.h"
#include "fovea/training/task.h"

namespace fovea::training {

/// Labels of words, learned from examples; judged by F1 of the entities that they mark, or if they mark none,
/// as parts of speech, by accuracy.
class TaggingTask : public Task {
 public:
  /// The recipe must outlive the task.
  TaggingTask(const Recipe& recipe, const TaskPlaces& places, const Notes& notes);

  Learner& learner() override { return learner_; }
  Amount amount() override;
  std::uint64_t fingerprint() const override { return fingerprint_; }
  FolderFiles files() const override;
  bool validates() const override { return corpus_.valid.corpus.size() > 0; }
  const Metric* metric() const override { return of_entities_ ? &entity_f1_metric : &accuracy_metric; }
  ValidationResult validate(Care care, const kernels::Execution& exec) const override;
  void summarise(formats::JsonWriter& json, const ValidationResult* final) const override;

 private:
  const Recipe& recipe_;
  TaggingCorpus corpus_;
  bool of_entities_;
  std::uint64_t fingerprint_;
  models::BertConfig config_;
  std::unique_ptr<models::Bert> model_;
  data::TaggedBatcher batcher_;
  TaggingLearner learner_;
};

}  // namespace fovea::training
