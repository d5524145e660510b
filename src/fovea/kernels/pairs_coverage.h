#pragma once

#include "fovea/kernels/pairs.h"

namespace fovea::kernels {

/// coverage[h,t,j] = sum_{t' < t} w[h,t',j]: what earlier outputs have looked at (See et al. 2017, equation
/// 10).
void coverage_forward(const Execution& exec, const PairExtents& x, const float* w, float* coverage);
/// d_w[h,t,j] = sum_{t' > t} d_coverage[h,t',j]
void coverage_backward(const Execution& exec, const PairExtents& x, const float* d_coverage, float* d_w);

/// loss[t,h] = sum_j min(w[h,t,j], coverage[h,t,j]) (equation 12), in [N_q, H]; rows of no sequence are left
/// alone.
void coverage_loss_forward(const Execution& exec, const PairExtents& x, const float* w, const float* coverage,
                           float* loss);
/// The gradient goes to the smaller of the two, to w where they are equal.
void coverage_loss_backward(const Execution& exec, const PairExtents& x, const float* w,
                            const float* coverage, const float* d_loss, float* d_w, float* d_coverage);

}  // namespace fovea::kernels
