#pragma once

#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Normalisation of columns (channels) over rows (all pixels of all images): x [M, C].
///   y[m,c] = (x[m,c] - mean[c]) * rstd[c] * gamma[c] + beta[c]
/// Source: Ioffe and Szegedy 2015.
struct BatchNormExtents {
  std::int64_t M = 0, C = 0;
};

/// mean[c] and biased variance[c] of each column, from differences to the mean. M = 0 gives zeros. Same bits
/// for any number of threads.
void column_moments(const Execution& exec, const BatchNormExtents& extents, const float* x, float* mean,
                    float* variance);

void batch_norm_forward(const Execution& exec, const BatchNormExtents& extents, const float* x,
                        const float* mean, const float* rstd, const float* gamma, const float* beta,
                        float* y);

/// sums [2, C]: sum_m d_y h and sum_m d_y, h = (x - mean) rstd: the gradients of gamma and beta. Then
///   d_x = gamma rstd (d_y - sums_1/M - h sums_0/M)   if mean and rstd are those of x (training)
///   d_x = gamma rstd d_y                             if they were given
/// d_x is overwritten, null if not wanted; may be d_y.
void batch_norm_backward(const Execution& exec, const BatchNormExtents& extents, const float* x,
                         const float* mean, const float* rstd, const float* gamma, const float* d_y,
                         bool of_batch, float* sums, float* d_x);

}  // namespace fovea::kernels
