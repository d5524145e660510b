#pragma once

#include <cstdint>

#include "fovea/kernels/batch_norm.h"

namespace fovea::kernels {

/// Arguments of batch normalisation; of double where tests want that.
template <class Real>
struct BatchNormRows {
  std::int64_t C = 0;
  const Real *x = nullptr, *mean = nullptr, *rstd = nullptr, *gamma = nullptr, *beta = nullptr,
             *d_y = nullptr;
  const Real* shares = nullptr;  ///< [2, C]: sums / M, or null if the statistics were given
  Real* out = nullptr;           ///< y or d_x
};

namespace reference {

/// Rows begin .. end - 1: sums[c] += x - mean (mean may be null: of x), or its square.
template <class Real>
void add_differences(const BatchNormRows<Real>& a, bool square, std::int64_t begin, std::int64_t end,
                     Real* sums) {
  for (std::int64_t i = begin * a.C; i < end * a.C; ++i) {
    const Real d = a.mean ? a.x[i] - a.mean[i % a.C] : a.x[i];
    sums[i % a.C] += square ? d * d : d;
  }
}

template <class Real>
void batch_norm_forward(const BatchNormRows<Real>& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin * a.C; i < end * a.C; ++i) {
    const std::int64_t c = i % a.C;
    a.out[i] = (a.x[i] - a.mean[c]) * a.rstd[c] * a.gamma[c] + a.beta[c];
  }
}

template <class Real>
void batch_norm_sums(const BatchNormRows<Real>& a, std::int64_t begin, std::int64_t end, Real* sums) {
  for (std::int64_t i = begin * a.C; i < end * a.C; ++i) {
    const std::int64_t c = i % a.C;
    sums[c] += a.d_y[i] * (a.x[i] - a.mean[c]) * a.rstd[c];
    sums[a.C + c] += a.d_y[i];
  }
}

template <class Real>
void batch_norm_backward(const BatchNormRows<Real>& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin * a.C; i < end * a.C; ++i) {
    const std::int64_t c = i % a.C;
    Real d = a.d_y[i];
    if (a.shares) d -= a.shares[a.C + c] + (a.x[i] - a.mean[c]) * a.rstd[c] * a.shares[c];
    a.out[i] = a.gamma[c] * a.rstd[c] * d;
  }
}

}  // namespace reference
}  // namespace fovea::kernels
