#pragma once

#include <memory>

#include "fovea/models/translation_folder.h"
#include "fovea/training/corpus.h"
#include "fovea/training/task.h"
#include "fovea/training/translation_learner.h"

namespace fovea::training {

/// Translation, learned from sentence pairs and judged by perplexity and BLEU.
class TranslationTask : public Task {
 public:
  /// The recipe must outlive the task.
  TranslationTask(const Recipe& recipe, const TaskPlaces& places, const Notes& notes);

  Learner& learner() override { return learner_; }
  Amount amount() override;
  std::uint64_t fingerprint() const override { return fingerprint_; }
  FolderFiles files() const override;
  bool validates() const override { return corpus_.valid.size() > 0; }
  const Metric* metric() const override;
  ValidationResult validate(Care care, const kernels::Execution& exec) const override;
  void summarise(formats::JsonWriter& json, const ValidationResult* final) const override;

 private:
  const Recipe& recipe_;
  Corpus corpus_;
  std::uint64_t fingerprint_;
  models::TranslationConfig config_;
  std::unique_ptr<models::TranslationModel> model_;
  data::Batcher batcher_;
  TranslationLearner learner_;
};

}  // namespace fovea::training
