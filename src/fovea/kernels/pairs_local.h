#pragma once

#include <cstdint>

#include "fovea/kernels/pairs.h"

namespace fovea::kernels {

/// The Gaussian of local-p attention (Luong et al. 2015, equation 10):
///   out[h,t,j] = w[h,t,j] g,  g = exp(-(j - centre[t])^2 / (2 sigma^2))
/// centre [N_q, centre_heads], centre_heads 1 or H. A weight of 0 says nothing about the centre.
/// Slot 4 of the workspace.
struct GaussianWindow {
  std::int64_t centre_heads = 1;
  float sigma = 1.0f;  ///< keys, above 0
};
void gaussian_forward(const Execution& exec, const PairExtents& x, const GaussianWindow& window,
                      const float* centre, const float* w, float* out);

/// d_w = g d_out;  d_centre += sum over j (and heads that share it) of d_out w g (j - centre) / sigma^2.
void gaussian_backward(const Execution& exec, const PairExtents& x, const GaussianWindow& window,
                       const float* centre, const float* w, const float* d_out, float* d_w, float* d_centre);

}  // namespace fovea::kernels
