#pragma once

#include <functional>
#include <optional>
#include <string>

#include "fovea/training/run_folder.h"

namespace fovea::training {

/// The weights that a run leaves behind.
struct FinalWeights {
  std::string name;                       ///< "average of 10 checkpoints", "moving average", "update 4500"
  std::optional<ValidationResult> score;  ///< nothing without validation data
};

/// Chooses among
///   1. the mean of the last training.average_last regular checkpoints, if there are two or more of them
///   2. the moving `average`, if it is defined
///   3. the best weights of any validation (model.safetensors of the folder), if there was one
/// those that `validate` likes most, the earlier in this list if they are equal. Without validation data (an
/// empty function) the first of the list; if it is empty, the model's own. The choice is left in the model.
/// Throws Error(diverged) if no candidate has a finite loss, and what reading the folder throws.
FinalWeights choose_final_weights(const RunFolder& folder, const TrainingOptions& options,
                                  const TrainingState& state, const Tensor& average,
                                  const std::function<ValidationResult()>& validate, models::Model& model);

}  // namespace fovea::training
