#pragma once

#include "fovea/kernels/attention.h"

/// Attention as its formulas read, in double, one pair of query and key at a time. `Real` is float, or double
/// where a test differentiates numerically. See fovea/kernels/attention.h for the arguments.
namespace fovea::kernels::reference {

template <class Real>
void attention_forward(const AttentionExtents& extents, const Real* q, const Real* k, const Real* v,
                       Real* out, Real* log_sum_exp, std::int64_t lse_stride, Real* weights);

template <class Real>
void attention_backward(const AttentionExtents& extents, const Real* q, const Real* k, const Real* v,
                        const Real* out, const Real* log_sum_exp, std::int64_t lse_stride, const Real* d_out,
                        Real* d_q, Real* d_k, Real* d_v);

}  // namespace fovea::kernels::reference
