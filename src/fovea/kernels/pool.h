#pragma once

#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Pooling of images with channels last: x [N, P, C], P pixels an image. The largest of a row is its first
/// largest; NaN counts as larger than any number.

/// average[n,c] = mean_p x[n,p,c]; maximum[n,c] = max_p x[n,p,c], at pixel which[n,c]. average, or maximum
/// and which together, may be null. P is below 2^24 (pixels are counted in float lanes). An image without
/// pixels gives zeros, which = -1.
void pool_pixels(const Execution& exec, std::int64_t N, std::int64_t P, std::int64_t C, const float* x,
                 float* average, float* maximum, std::int32_t* which);

/// d_x[n,p,c] += d_average[n,c]/P + (p == which[n,c]) d_maximum[n,c]; each gradient may be null.
void pool_pixels_backward(const Execution& exec, std::int64_t N, std::int64_t P, std::int64_t C,
                          const float* d_average, const float* d_maximum, const std::int32_t* which,
                          float* d_x);

/// out[r] = (mean_c x[r,c], max_c x[r,c]), the largest at channel which[r]; rows are pixels. 0 < C < 2^24.
void pool_channels(const Execution& exec, std::int64_t rows, std::int64_t C, const float* x, float* out,
                   std::int32_t* which);

/// d_x[r,c] += d_out[r,0]/C + (c == which[r]) d_out[r,1].
void pool_channels_backward(const Execution& exec, std::int64_t rows, std::int64_t C, const float* d_out,
                            const std::int32_t* which, float* d_x);

}  // namespace fovea::kernels
