#pragma once

#include <cstdint>

#include "fovea/kernels/normalise.h"

/// The normalisers of kernels/normalise.h on the visible scores of one row, as their formulas read, in
/// double. `Real` is float, or double where a test differentiates numerically. Outputs may equal inputs.
namespace fovea::kernels::reference {

template <class Real>
void normalise_row(Normaliser normaliser, Real temperature, std::int64_t n, const Real* x, Real* w);

/// Of softmax and sparsemax.
template <class Real>
void normalise_row_backward(Normaliser normaliser, Real temperature, std::int64_t n, const Real* w,
                            const Real* d_w, Real* d_x);

}  // namespace fovea::kernels::reference
