#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/training/learner.h"
#include "fovea/training/optimiser.h"
#include "fovea/training/recipe.h"
#include "fovea/training/state.h"
#include "fovea/training/validation.h"

namespace fovea::training {

/// A line of the log.
struct LogEntry {
  std::int64_t update = 0, epoch = 0;
  double loss = 0.0;                ///< nats a unit, with label smoothing, mean since the last line
  double perplexity = 0.0;          ///< exp of the same without smoothing
  double rate = 0.0;                ///< learning rate
  double gradient_norm = 0.0;       ///< of the last update that was not skipped
  std::string_view unit = "token";  ///< what the learner predicts
  double units_per_second = 0.0;    ///< of wall time, without validations and saves
  std::int64_t skipped = 0;
};

/// What the trainer tells and asks of whoever runs it. Empty functions are not called.
struct TrainerEvents {
  std::function<void(const LogEntry&)> updated =
      {};                                         ///< after every update: the log line so far, for a display
  std::function<void(const LogEntry&)> log = {};  ///< every log_every updates, and at the end
  std::function<ValidationResult()> validate = {};  ///< with the model's present weights
  std::function<void(const ValidationResult&, bool best)> validated = {};
  std::function<void(const TrainingState&)> save = {};  ///< writes a checkpoint; the weights are finite
  std::function<void(const std::string&)> warn = {};
};

/// Why training ended.
enum class Ending { updates, epochs, patience, minutes, stopped };

/// The training loop: batches, forward, backward, clip, Adam; log, validate, save.
/// For the same recipe, data and number of threads the weights after N updates are the same bits, whether the
/// run was interrupted or not.
class Trainer {
 public:
  /// All arguments must outlive the trainer. `state` says where to go on (default: at the beginning).
  Trainer(const TrainingOptions& options, Learner& learner, const kernels::Execution& exec,
          TrainerEvents events, TrainingState state = {});

  Optimiser& optimiser() { return optimiser_; }
  const TrainingState& state() const { return state_; }

  /// Trains until a limit of the recipe or until `stop` is set; then the update in progress is finished and
  /// saved. At a limit, the weights are saved before the last line of the log and the last validation,
  /// neither of which leaves a trace in the checkpoint: a run that goes on with a higher limit is that which
  /// never had the lower one. Throws Error(diverged) if loss or gradients are not finite and the recipe says
  /// stop, if ten updates in a row were skipped, if the loss stays hopeless, or if weights or the loss of a
  /// validation are not finite; the last checkpoint is then the one to go on from.
  Ending run(const std::atomic<bool>& stop);

 private:
  void update();
  ops::LossSums accumulate_gradients();
  bool finite_or_skipped(const ops::LossSums& sums, double norm, const data::BatchPosition& at);
  void check_progress(double nll_per_token);
  bool due(std::int64_t every) const { return every > 0 && state_.update % every == 0; }
  LogEntry log_entry() const;
  void log();
  void validate();
  void save();
  void count_seconds();

  const TrainingOptions& options_;
  Learner& learner_;
  kernels::Execution exec_;
  TrainerEvents events_;
  TrainingState state_;
  Optimiser optimiser_;
  ops::Tape tape_;
  std::int64_t saved_;          // update of the last checkpoint
  double counted_until_ = 0.0;  // process time, seconds
};

/// The limit of `options` that `state` has reached, if any.
std::optional<Ending> reached_limit(const TrainingOptions& options, const TrainingState& state);

/// "training.updates = 8000": the recipe's key behind an ending, for messages. Not for Ending::stopped.
std::string limit_text(Ending ending, const TrainingOptions& options);

}  // namespace fovea::training
