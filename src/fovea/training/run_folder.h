#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "fovea/formats/checkpoint.h"
#include "fovea/models/model.h"
#include "fovea/training/task.h"
#include "fovea/training/trainer.h"

namespace fovea::training {

/// The folder of a run. It is a model directory of the best weights so far (in the end, of the final ones):
///   config.json generation_config.json model.safetensors source.spm target.spm vocab.json ...
/// or, with [lora], an adapter's, with adapter_config.json and adapter_model.safetensors in the place of
/// model.safetensors, here and in the checkpoints;
/// with recipe.toml, log.jsonl, learning_curve.svg and training.json beside them, and
/// checkpoints/checkpoint-N/, each
///   model.safetensors training_state.safetensors training_state.json
/// Everything is written whole or not at all.
class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path& path() const { return folder_; }
  std::filesystem::path checkpoints() const { return folder_ / "checkpoints"; }

  /// Whether a run has begun here.
  bool holds_run() const;
  /// Recipe, tokenizer and configuration: what does not change while training.
  void write_beginning(const Recipe& recipe, const FolderFiles& files) const;
  Recipe read_recipe() const;

  /// The weights of the folder itself; `name` says which weights these are ("update 500") and stays
  /// with them.
  void write_model(const models::Model& model, const Recipe& recipe, const std::string& name) const;
  /// Those weights, into the model; gives their name.
  std::string read_model(models::Model& model) const;

  /// Marks the run as ended: training.json, with all that `summary` says and "updates".
  void write_summary(const std::string& summary) const;
  /// Whether the run ended at this update and has not gone on since.
  bool ended_at(std::int64_t update) const;
  /// The run goes on: what training.json says no longer holds.
  void remove_summary() const;

  void write_checkpoint(const models::Model& model, const Optimiser& optimiser, const TrainingState& state,
                        std::uint64_t data) const;
  /// Keeps the newest `keep` that were written at multiples of `every`, and the newest of all.
  void prune(std::int64_t keep, std::int64_t every) const;

  /// The newest checkpoint that is whole; none if none was written yet. Damaged ones are passed over with a
  /// note and renamed to damaged-checkpoint-N, out of the way of those to come. Throws Error(model) if all
  /// are damaged.
  std::optional<formats::Checkpoint> newest(const Notes& notes) const;
  StoredState read_state(const formats::Checkpoint& checkpoint) const;
  void read_weights(const formats::Checkpoint& checkpoint, models::Model& model) const;
  void read_moments(const formats::Checkpoint& checkpoint, const Optimiser& optimiser) const;

  /// The newest checkpoints of multiples of `every`, at most `most`.
  std::vector<formats::Checkpoint> regular(std::int64_t most, std::int64_t every) const;
  /// The mean of the weights of `checkpoints`, into the model.
  void average(const std::vector<formats::Checkpoint>& checkpoints, models::Model& model) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace fovea::training
