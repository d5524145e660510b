#pragma once

#include "fovea/kernels/attention.h"

/// Attention as its formulas read, in double, one pair of query and key at a time. `Real` is float, or double
/// where a test differentiates numerically. See fovea/kernels/attention.h for the arguments.
namespace fovea::kernels::reference {

template <class Real>
void attention_forward(const AttentionExtents& extents, const AttentionInputsOf<Real>& in, Real* out,
                       Real* log_sum_exp, std::int64_t lse_stride);

template <class Real>
void attention_backward(const AttentionExtents& extents, const AttentionInputsOf<Real>& in, const Real* out,
                        const Real* log_sum_exp, std::int64_t lse_stride, const Real* d_out,
                        const AttentionGradientsOf<Real>& d);

void attention_weights(const AttentionExtents& extents, const AttentionInputs& in, const float* log_sum_exp,
                       std::int64_t lse_stride, const AttentionWeights& wanted);

}  // namespace fovea::kernels::reference
