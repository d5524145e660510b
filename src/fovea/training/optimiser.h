#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fovea/nn/parameters.h"
#include "fovea/ops/context.h"
#include "fovea/training/recipe.h"

namespace fovea::training {

/// Adam or AdamW over all parameters at once, with clipping by norm and, if asked, a moving average of the
/// weights. Its moments lie in arrays like the parameters' own.
class Optimiser {
 public:
  Optimiser(const TrainingOptions& options, nn::Parameters& parameters);

  /// Norm of all gradients; not finite if one of them is not.
  double gradient_norm(const kernels::Execution& exec) const;
  /// The name of the first parameter whose gradient is not finite, for a message.
  std::optional<std::string> first_non_finite() const;
  /// Update t = 1, 2, ... with a gradient of norm `norm`: w moves by Adam's rule at learning_rate(options,
  /// t).
  void step(const kernels::Execution& exec, std::int64_t t, double norm);

  const Tensor& m() const { return m_; }
  const Tensor& v() const { return v_; }
  const Tensor& average() const { return average_; }  ///< undefined without average_decay

 private:
  const TrainingOptions& options_;
  nn::Parameters& parameters_;
  Tensor m_, v_, average_;
};

}  // namespace fovea::training
