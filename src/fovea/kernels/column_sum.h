#pragma once

#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// d_bias[d] += sum_n d_y[n,d]. Same bits for any number of threads.
void column_sum(const Execution& exec, std::int64_t N, std::int64_t D, const float* d_y, float* d_bias);

}  // namespace fovea::kernels
