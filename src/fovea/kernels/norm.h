#pragma once

#include <cstdint>

#include "fovea/base/random.h"
#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// What is summed before a norm: y = norm(residual + dropout(x)), row by row (Ba, Kiros and Hinton 2016).
///   sum[n,:]  = residual[n,:] + m * x[n,:],  m = dropout.multiplier(n*D + d); without residual: sum = m * x
///   y[n,:]    = (sum - mean) * rstd * gamma + beta,  rstd = 1/sqrt(variance + eps), biased variance
/// As rms nothing is centred (Zhang and Sennrich 2019): mean = 0, variance = mean of sum^2, no beta.
/// x, residual, sum, y may be equal pointers where that makes sense (sum == x, y == sum if sum is not
/// needed). A constant row gives beta: the variance is taken from differences to the mean, and eps is above
/// 0.
enum class NormKind : std::uint8_t { layer, rms };
struct NormExtents {
  std::int64_t N = 0, D = 0;
  float eps = 1e-5f;
  Dropout dropout{};
  NormKind kind = NormKind::layer;
};

/// sum (nullable) receives what was normalised; mean, rstd [N] (nullable together) what backward needs.
/// As rms, beta and d_beta are null and mean is not written (nor read backward: it may be null there).
void norm_forward(const Execution& exec, const NormExtents& extents, const float* x, const float* residual,
                  const float* gamma, const float* beta, float* sum, float* y, float* mean, float* rstd);

/// Given d_y: d_sum [N,D] (gradient of the sum, hence of the residual), d_x = m * d_sum (nullable; may equal
/// d_sum only without dropout), and d_gamma, d_beta [D] are added to. d_residual_in (nullable) is a further
/// gradient that reaches the sum from elsewhere (pre-norm's second branch) and is added into d_sum. d_sum may
/// equal d_y or d_residual_in. Same bits for any number of threads.
void norm_backward(const Execution& exec, const NormExtents& extents, const float* d_y, const float* sum,
                   const float* mean, const float* rstd, const float* gamma, const float* d_residual_in,
                   float* d_sum, float* d_x, float* d_gamma, float* d_beta);

}  // namespace fovea::kernels
