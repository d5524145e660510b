#pragma once

#include <cmath>
#include <cstdint>

#include "fovea/kernels/norm.h"

namespace fovea::kernels {

/// Arguments of norm_forward and norm_backward; of double where tests want that.
template <class Real>
struct NormForward {
  NormExtents extents;
  const Real *x, *residual, *gamma, *beta;
  Real *sum, *y, *mean, *rstd;
};
template <class Real>
struct NormBackward {
  NormExtents extents;
  const Real *d_y, *sum, *mean, *rstd, *gamma, *d_residual_in;
  Real *d_sum, *d_x;
};

namespace reference {

/// Rows begin .. end - 1 of norm_forward.
template <class Real>
void norm_forward(const NormForward<Real>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t D = a.extents.D;
  const bool centred = a.extents.kind == NormKind::layer;
  for (std::int64_t n = begin; n < end; ++n) {
    Real* s = (a.sum ? a.sum : a.y) + n * D;
    double mean = 0, variance = 0;
    for (std::int64_t d = 0; d < D; ++d) {
      const double x =
          double(a.x[n * D + d]) * a.extents.dropout.multiplier(static_cast<std::uint64_t>(n * D + d));
      s[d] = static_cast<Real>(a.residual ? a.residual[n * D + d] + x : x);
      mean += s[d];
    }
    mean = centred ? mean / static_cast<double>(D) : 0.0;
    for (std::int64_t d = 0; d < D; ++d) variance += (s[d] - mean) * (s[d] - mean);
    const double rstd = 1.0 / std::sqrt(variance / static_cast<double>(D) + a.extents.eps);
    for (std::int64_t d = 0; d < D; ++d)
      a.y[n * D + d] = static_cast<Real>((s[d] - mean) * rstd * a.gamma[d] + (centred ? a.beta[d] : 0));
    if (a.mean && centred) a.mean[n] = static_cast<Real>(mean);
    if (a.rstd) a.rstd[n] = static_cast<Real>(rstd);
  }
}

/// Rows begin .. end - 1 of norm_backward; d_gamma_beta [2,D] is added to.
///   g = d_y gamma,  h = (sum - mean) rstd,  d_sum = rstd (g - mean(g) - h mean(g h)) + d_residual_in
/// As rms without mean(g), and only the first of d_gamma_beta's rows is added to.
template <class Real>
void norm_backward(const NormBackward<Real>& a, std::int64_t begin, std::int64_t end, Real* d_gamma_beta) {
  const std::int64_t D = a.extents.D;
  const bool centred = a.extents.kind == NormKind::layer;
  for (std::int64_t n = begin; n < end; ++n) {
    const double mean = centred ? a.mean[n] : 0.0;
    const auto normal = [&](std::int64_t d) { return (double(a.sum[n * D + d]) - mean) * a.rstd[n]; };
    double mean_g = 0, mean_gh = 0;
    for (std::int64_t d = 0; d < D; ++d) {
      const double d_y = a.d_y[n * D + d], g = d_y * a.gamma[d];
      if (centred) mean_g += g / static_cast<double>(D);
      mean_gh += g * normal(d) / static_cast<double>(D);
      d_gamma_beta[d] += static_cast<Real>(d_y * normal(d));
      if (centred) d_gamma_beta[D + d] += static_cast<Real>(d_y);
    }
    for (std::int64_t d = 0; d < D; ++d) {
      const std::int64_t i = n * D + d;
      const double through = a.rstd[n] * (double(a.d_y[i]) * a.gamma[d] - mean_g - normal(d) * mean_gh);
      const double d_sum = a.d_residual_in ? through + a.d_residual_in[i] : through;
      a.d_sum[i] = static_cast<Real>(d_sum);
      if (a.d_x)
        a.d_x[i] = static_cast<Real>(d_sum * a.extents.dropout.multiplier(static_cast<std::uint64_t>(i)));
    }
  }
}

}  // namespace reference
}  // namespace fovea::kernels
