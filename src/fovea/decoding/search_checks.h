#pragma once

#include "fovea/decoding/beam_search.h"

namespace fovea::decoding {

/// Throws Error(usage) naming the first option or limit that is out of range, for this model, or that another
/// excludes.
void validate(const BeamOptions& options, const BatchLimits& limits, const StepModel& model);

}  // namespace fovea::decoding
