#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "fovea/kernels/pairs_visibility.h"

/// One row of monotonic attention as its recursions read; see kernels/normalise_monotonic.h. Each element
/// needs the one before, so float on the vector sets is these same loops. `Real` is float, or double in
/// tests.
namespace fovea::kernels::reference {

template <class Real>
void monotonic_row(std::int64_t S, const Real* p, const Real* previous, Real* alpha) {
  Real passed = 0;
  for (std::int64_t j = 0; j < S; ++j) {
    const Real q = passed + previous[j];
    alpha[j] = p[j] * q;
    passed = (Real(1) - p[j]) * q;
  }
}

/// d_p and d_previous (may equal d_alpha); q: scratch [S].
template <class Real>
void monotonic_row_backward(std::int64_t S, const Real* p, const Real* previous, const Real* d_alpha, Real* q,
                            Real* d_p, Real* d_previous) {
  Real passed = 0;
  for (std::int64_t j = 0; j < S; ++j) {
    q[j] = passed + previous[j];
    passed = (Real(1) - p[j]) * q[j];
  }
  Real next = 0;  // d q[j+1]
  for (std::int64_t j = S - 1; j >= 0; --j) {
    const Real d = d_alpha[j];
    d_p[j] = q[j] * (d - next);
    next = d_previous[j] = d * p[j] + (Real(1) - p[j]) * next;
  }
}

/// The bounds of the parallel form: of 1 - p before its logarithm, and of the product that divides.
template <class Real>
inline constexpr Real least_factor = std::numeric_limits<float>::min();
template <class Real>
inline constexpr Real least_product = Real(1e-10);

/// c: scratch [S].
template <class Real>
void monotonic_parallel_row(std::int64_t S, const Real* p, const Real* previous, Real* c, Real* alpha) {
  Real logarithm = 0, sum = 0;
  for (std::int64_t j = 0; j < S; ++j) {
    c[j] = std::exp(logarithm);
    logarithm += std::log(std::max(Real(1) - p[j], least_factor<Real>));
    sum += previous[j] / std::max(c[j], least_product<Real>);
    alpha[j] = p[j] * c[j] * sum;
  }
}

/// d_p and d_previous (may equal d_alpha); scratch: 2 S values.
template <class Real>
void monotonic_parallel_row_backward(std::int64_t S, const Real* p, const Real* previous, const Real* d_alpha,
                                     Real* scratch, Real* d_p, Real* d_previous) {
  Real *c = scratch, *sums = scratch + S;
  Real logarithm = 0, sum = 0;
  for (std::int64_t j = 0; j < S; ++j) {
    c[j] = std::exp(logarithm);
    logarithm += std::log(std::max(Real(1) - p[j], least_factor<Real>));
    sums[j] = sum += previous[j] / std::max(c[j], least_product<Real>);
  }
  Real d_sum = 0, d_logarithm = 0;  // of sums[j], of what the logarithm is after key j
  for (std::int64_t j = S - 1; j >= 0; --j) {
    const Real d = d_alpha[j], factor = Real(1) - p[j], bounded = std::max(c[j], least_product<Real>);
    d_p[j] = d * c[j] * sums[j] - (factor > least_factor<Real> ? d_logarithm / factor : Real(0));
    d_sum += d * p[j] * c[j];
    Real d_c = d * p[j] * sums[j];
    if (c[j] > least_product<Real>) d_c -= d_sum * previous[j] / (bounded * bounded);
    d_previous[j] = d_sum / bounded;
    d_logarithm += d_c * c[j];
  }
}

/// body(l, share) for every visible key l of the chunk that ends with key k, with its softmax of u.
template <class Real, class Body>
void over_chunk(const VisibleKeys& keys, std::int64_t k, std::int64_t width, const Real* u,
                const Body& body) {
  const std::int64_t first = width > k ? 0 : k - width + 1;
  Real largest = -std::numeric_limits<Real>::infinity(), sum = 0;
  for (std::int64_t l = first; l <= k; ++l)
    if (keys.sees(l)) largest = std::max(largest, u[l]);
  if (largest == -std::numeric_limits<Real>::infinity()) return;
  for (std::int64_t l = first; l <= k; ++l)
    if (keys.sees(l)) sum += std::exp(u[l] - largest);
  for (std::int64_t l = first; l <= k; ++l)
    if (keys.sees(l)) body(l, std::exp(u[l] - largest) / sum);
}

template <class Real>
void chunkwise_row(const VisibleKeys& keys, std::int64_t S, std::int64_t width, const Real* alpha,
                   const Real* u, Real* beta) {
  std::fill(beta, beta + S, Real(0));
  for (std::int64_t k = 0; k < S; ++k)
    if (alpha[k] != Real(0))
      over_chunk(keys, k, width, u, [&](std::int64_t l, Real share) { beta[l] += alpha[k] * share; });
}

template <class Real>
void chunkwise_row_backward(const VisibleKeys& keys, std::int64_t S, std::int64_t width, const Real* alpha,
                            const Real* u, const Real* d_beta, Real* d_alpha, Real* d_u) {
  std::fill(d_u, d_u + S, Real(0));
  for (std::int64_t k = 0; k < S; ++k) {
    Real mean = 0;
    over_chunk(keys, k, width, u, [&](std::int64_t l, Real share) { mean += share * d_beta[l]; });
    d_alpha[k] = mean;
    if (alpha[k] == Real(0)) continue;
    over_chunk(keys, k, width, u,
               [&](std::int64_t l, Real share) { d_u[l] += alpha[k] * share * (d_beta[l] - mean); });
  }
}

}  // namespace fovea::kernels::reference
