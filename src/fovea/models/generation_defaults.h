#pragma once

#include <cstdint>

namespace fovea::models {

/// How a model is used where nobody says otherwise: what stands in config.json beside the architecture.
struct GenerationDefaults {
  std::int64_t beam = 5;
  double length_penalty = 1.0;       ///< exponent
  bool gnmt_length_penalty = false;  ///< of Wu et al. 2016, else of the power penalty
  double coverage_penalty = 0.0;     ///< beta
  bool replace_unknown = false;      ///< by words of the source
};

}  // namespace fovea::models
