#pragma once

#include "fovea/kernels/additive_attention.h"

/// Additive attention as its formulas read, in double, one pair of query and key at a time. `Real` is float,
/// or double where a test differentiates numerically. See fovea/kernels/additive_attention.h for the
/// arguments.
namespace fovea::kernels::reference {

template <class Real>
void additive_attention_forward(const AdditiveExtents& extents, const AdditiveInputsOf<Real>& inputs,
                                Real* out, Real* log_sum_exp, std::int64_t lse_stride);

template <class Real>
void additive_attention_weights(const AdditiveExtents& extents, const AdditiveInputsOf<Real>& inputs,
                                const Real* log_sum_exp, std::int64_t lse_stride, Real* weights);

template <class Real>
void additive_attention_backward(const AdditiveExtents& extents, const AdditiveInputsOf<Real>& inputs,
                                 const Real* out, const Real* log_sum_exp, std::int64_t lse_stride,
                                 const Real* d_out, const AdditiveGradientsOf<Real>& gradients);

template <class Real>
void additive_scores_forward(const AdditiveExtents& extents, const AdditiveInputsOf<Real>& inputs,
                             Real* scores);

/// Gradients of k and v may be null: not wanted.
template <class Real>
void additive_scores_backward(const AdditiveExtents& extents, const AdditiveInputsOf<Real>& inputs,
                              const Real* d_scores, const AdditiveGradientsOf<Real>& gradients);

}  // namespace fovea::kernels::reference
