#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "fovea/data/batcher.h"
#include "fovea/models/transformer.h"
#include "fovea/training/optimiser.h"
#include "fovea/training/recipe.h"
#include "fovea/training/state.h"

namespace fovea::training {

/// A line of the log.
struct LogEntry {
  std::int64_t update = 0, epoch = 0;
  double loss = 0.0;           ///< nats a target token, with label smoothing, mean since the last line
  double perplexity = 0.0;     ///< exp of the same without smoothing
  double rate = 0.0;           ///< learning rate
  double gradient_norm = 0.0;  ///< of the last update
  double tokens_per_second = 0.0;  ///< target tokens a second of wall time since the last line
  std::int64_t skipped = 0;
};

/// What a validation found. `score` is what "best" means: BLEU where it is measured, else minus the loss.
struct ValidationResult {
  double loss = 0.0;  ///< nats a target token, without smoothing
  std::optional<double> bleu;
  double score() const { return bleu ? *bleu : -loss; }
};

/// What the trainer tells and asks of whoever runs it. Empty functions are not called.
struct TrainerEvents {
  std::function<void(const LogEntry&)> log;
  std::function<ValidationResult()> validate;                            ///< with the model's present weights
  std::function<void(const ValidationResult&, bool best)> validated;
  std::function<void(const TrainingState&)> save;                        ///< writes a checkpoint
  std::function<void(const std::string&)> warn;
};

/// Why training ended.
enum class Ending { updates, epochs, patience, minutes, stopped };

/// The training loop: batches, forward, backward, clip, Adam; log, validate, save.
/// For the same recipe, data and number of threads the weights after N updates are the same bits, whether the run was
/// interrupted or not.
class Trainer {
 public:
  /// All arguments must outlive the trainer. `state` says where to go on (default: at the beginning).
  Trainer(const TrainingOptions& options, models::Transformer& model, data::Batcher& batcher,
          const kernels::Execution& exec, TrainerEvents events, TrainingState state = {});

  Optimiser& optimiser() { return optimiser_; }
  const TrainingState& state() const { return state_; }

  /// Trains until a limit of the recipe or until `stop` is set; then the update in progress is finished and saved.
  /// Throws Error(diverged) if loss or gradients are not finite and the recipe says stop, if ten updates in a row were
  /// skipped, or if the loss stays hopeless; the last checkpoint is then the one to go on from.
  Ending run(const std::atomic<bool>& stop);

 private:
  std::optional<Ending> reached_limit() const;
  void update();
  bool finite_or_skipped(const ops::LossSums& sums, double norm, const data::BatchPosition& at);
  void check_progress(double nll_per_token);
  void log();
  bool validate();

  const TrainingOptions& options_;
  models::Transformer& model_;
  data::Batcher& batcher_;
  kernels::Execution exec_;
  TrainerEvents events_;
  TrainingState state_;
  Optimiser optimiser_;
  ops::Tape tape_;
  double last_norm_ = 0.0;
  double logged_at_ = 0.0;  // wall clock, seconds
};

}  // namespace fovea::training
