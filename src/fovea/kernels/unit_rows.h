#pragma once

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Rows [N, D] brought to a length of their own, as cosine attention compares them; D = H*E holds H vectors,
/// vector h of length `sharpness[h]` afterwards (1 without).
struct UnitRowsExtents {
  std::int64_t N = 0, H = 1, E = 0;
};

/// y[n,h] = sharpness[h] * x[n,h] / |x[n,h]|, and 0 for a vector of length 0. `lengths` [N, H], if given,
/// receives |x|.
void unit_rows_forward(const Execution& exec, const UnitRowsExtents& extents, const float* x,
                       const float* sharpness, float* y, float* lengths);

/// With u = x/|x|:  d_x = sharpness/|x| (d_y - u (u.d_y)),  d_sharpness[h] += sum_n u.d_y; both 0 where |x|
/// is 0. d_sharpness may be null. Same bits for any number of threads.
void unit_rows_backward(const Execution& exec, const UnitRowsExtents& extents, const float* d_y,
                        const float* x, const float* sharpness, const float* lengths, float* d_x,
                        float* d_sharpness);

}  // namespace fovea::kernels
