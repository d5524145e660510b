#include "fovea/training/optimiser.h"

#include <algorithm>
#include <cmath>

#include "fovea/kernels/optimiser.h"
#include "fovea/training/schedule.h"

namespace fovea::training {

Optimiser::Optimiser(const TrainingOptions& options, nn::Parameters& parameters)
    : options_(options), parameters_(parameters) {
  m_ = Tensor::zeros(parameters.values().shape());
  v_ = Tensor::zeros(parameters.values().shape());
  if (options.average_decay > 0) average_ = parameters.values().clone();
}

double Optimiser::gradient_norm(const kernels::Execution& exec) const {
  const Tensor& gradients = parameters_.gradients();
  return std::sqrt(kernels::sum_of_squares(exec, gradients.elements(), gradients.f32()));
}

std::optional<std::string> Optimiser::first_non_finite() const {
  const auto finite = [](const Tensor& tensor) {
    return std::ranges::all_of(tensor.values(), [](float g) { return std::isfinite(g); });
  };
  for (const auto& parameter : parameters_.all()) {
    const Tensor gradient = parameter.value.grad();
    if (finite(gradient)) continue;
    std::int64_t row = 0;
    for (const auto& part : parameter.parts) {
      if (!finite(gradient.rows(row, row + part.rows))) return part.name;
      row += part.rows;
    }
    return parameter.name;
  }
  return std::nullopt;
}

void Optimiser::step(const kernels::Execution& exec, std::int64_t t, double norm) {
  kernels::AdamStep step;
  step.rate = static_cast<float>(learning_rate(options_, t));
  step.beta1 = static_cast<float>(options_.beta1);
  step.beta2 = static_cast<float>(options_.beta2);
  step.eps = static_cast<float>(options_.epsilon);
  step.weight_decay = static_cast<float>(options_.weight_decay);
  step.decoupled = options_.optimizer == OptimiserKind::adamw;
  step.t = t;
  if (options_.clip_norm > 0 && norm > options_.clip_norm)
    step.gradient_scale = static_cast<float>(options_.clip_norm / norm);
  // Early on, an average that forgets slowly would be mostly the random beginning: let it forget faster
  // (as TensorFlow's ExponentialMovingAverage does with num_updates).
  const double now = static_cast<double>(t);
  step.average_decay = static_cast<float>(std::min(options_.average_decay, (1.0 + now) / (10.0 + now)));
  kernels::adam(exec, m_.elements(), step, parameters_.gradients().f32(), m_.f32(), v_.f32(),
                parameters_.values().f32(), average_.defined() ? average_.f32() : nullptr);
}

}  // namespace fovea::training
