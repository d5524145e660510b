#pragma once

#include <memory>

#include "fovea/models/bert.h"
#include "fovea/training/masked_learner.h"
#include "fovea/training/masked_text.h"
#include "fovea/training/task.h"

namespace fovea::training {

/// Tokens behind masks, learned from plain text; judged by their loss where masks stand at the same places
/// each time.
class MaskedTask : public Task {
 public:
  /// The recipe must outlive the task.
  MaskedTask(const Recipe& recipe, const TaskPlaces& places, const Notes& notes);

  Learner& learner() override { return learner_; }
  Amount amount() override;
  std::uint64_t fingerprint() const override { return fingerprint_; }
  FolderFiles files() const override;
  bool validates() const override { return text_.valid.size() > 0; }
  const Metric* metric() const override { return &masked_accuracy_metric; }
  ValidationResult validate(Care care, const kernels::Execution& exec) const override;
  void summarise(formats::JsonWriter& json, const ValidationResult* final) const override;

 private:
  const Recipe& recipe_;
  MaskedText text_;
  std::uint64_t fingerprint_;
  models::BertConfig config_;
  std::unique_ptr<models::Bert> model_;
  data::Masking masking_;
  data::MaskedBatcher batcher_;
  MaskedLearner learner_;
};

}  // namespace fovea::training
