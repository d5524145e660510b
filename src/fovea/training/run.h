#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>

#include "fovea/training/final_weights.h"
#include "fovea/training/recipe.h"
#include "fovea/training/task.h"
#include "fovea/training/trainer.h"

namespace fovea::training {

struct RunOptions {
  std::filesystem::path data = ".";   ///< paths of the recipe are relative to this
  std::filesystem::path output = {};  ///< the run's folder
  bool resume = false;
  bool allow_changed_data = false;  ///< go on although the training text is not what it was
  int threads = 0;                  ///< 0: all of the machine's
};

/// What a run tells while it goes on. Empty functions are not called.
struct Reporter {
  std::function<void(const std::string&)> note = {};  ///< something the user should know
  std::function<void(const LogEntry&)> updated = {};  ///< after every update: the log line so far
  std::function<void(const LogEntry&)> logged = {};
  std::function<void(std::int64_t update, const ValidationResult&, bool best)> validated = {};
};

/// How a run ended.
struct RunResult {
  Ending ending = Ending::stopped;
  TrainingState state;
  FinalWeights final;         ///< what the folder holds now, scored with the recipe's beam; empty if stopped
  bool ended_before = false;  ///< a run was resumed that had ended: nothing was done
};

/// What a run would be, for --dry-run.
struct RunPlan {
  Amount amount;
  std::int64_t parameters = 0;    ///< learned
  std::int64_t held = 0;          ///< of a model that stays as it is, beside its adapters
  double megabytes = 0;           ///< of weights, gradients and moments
  double seconds_per_update = 0;  ///< measured on a few updates, for a couple of seconds
  double seconds = 0;             ///< estimated, in all, without validation; 0: no limit says
};

/// Trains as the recipe says, in a folder of its own: reads data, trains the tokenizer, trains, validates,
/// writes checkpoints, averages, and leaves the final model with a log, a learning curve and training.json.
/// A run that is resumed after it ended, with no limit raised, is left as it is, with a note.
/// Throws Error: usage if the folder holds a run and resume is not set, or does not and it is, or recipe keys
/// changed that must not; data, model, machine, diverged as the parts do. A run that fails before its first
/// update leaves no folder behind.
RunResult run_training(const Recipe& recipe, const RunOptions& options, const std::atomic<bool>& stop,
                       const Reporter& reporter);

/// Checks recipe and data, builds the model, times a few updates; writes nothing.
RunPlan plan_training(const Recipe& recipe, const RunOptions& options, const Reporter& reporter);

}  // namespace fovea::training
