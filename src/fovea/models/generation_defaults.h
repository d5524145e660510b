#pragma once

#include <cstdint>

namespace fovea::models {

/// How a model is used where nobody says otherwise: what stands in config.json beside the architecture.
struct GenerationDefaults {
  std::int64_t beam = 5;
  double length_penalty = 1.0;  ///< exponent of the power penalty
};

}  // namespace fovea::models
