#pragma once

#include <cstdint>

#include "fovea/base/random.h"
#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// out[i] = dropout.multiplier(first + i), i in [0, count): 0 for what is dropped, scale() for what is kept.
/// Runs on the calling thread. Equal on every kernel set.
void dropout_multipliers(KernelSet kernels, const Dropout& dropout, std::uint64_t first, std::int64_t count,
                         float* out);

/// out[i] = residual[i] + m * x[i], m = dropout.multiplier(i); residual may be null (plain dropout).
/// out may equal x or residual.
void residual_dropout(const Execution& exec, std::int64_t count, const Dropout& dropout, const float* x,
                      const float* residual, float* out);

}  // namespace fovea::kernels
