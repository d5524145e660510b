#pragma once

#include <memory>

#include "fovea/models/language_folder.h"
#include "fovea/training/language_corpus.h"
#include "fovea/training/language_learner.h"
#include "fovea/training/task.h"

namespace fovea::training {

/// A language model, learned from plain text and judged by how well it predicts another.
class LanguageTask : public Task {
 public:
  /// The recipe must outlive the task. With recipe.init the architecture is that of the model there.
  LanguageTask(const Recipe& recipe, const TaskPlaces& places, const Notes& notes);

  Learner& learner() override { return learner_; }
  Amount amount() override;
  std::uint64_t fingerprint() const override { return fingerprint_; }
  FolderFiles files() const override;
  bool validates() const override { return corpus_.valid.size() > 0; }
  /// Nats a token of the validation text, cut into pieces as long as those of training.
  ValidationResult validate(Care care, const kernels::Execution& exec) const override;
  void summarise(formats::JsonWriter& json, const ValidationResult* final) const override;

 private:
  const Recipe& recipe_;
  LanguageCorpus corpus_;
  std::uint64_t fingerprint_;
  models::LanguageConfig config_;
  std::unique_ptr<models::LanguageModel> model_;
  data::PieceBatcher batcher_;
  LanguageLearner learner_;
};

}  // namespace fovea::training
