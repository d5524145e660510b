#pragma once

#include <cstdint>

#include "fovea/kernels/gated.h"
#include "fovea/kernels/reference/activation.h"

namespace fovea::kernels {

/// Arguments of gated_forward and gated_backward; of double where tests want that.
template <class Real>
struct GatedForward {
  GatedExtents extents;
  const Real* gate_up;
  Real* out;
};
template <class Real>
struct GatedBackward {
  GatedExtents extents;
  const Real *gate_up, *d_out;
  Real* d_gate_up;
};

namespace reference {

/// Rows begin .. end - 1 of gated_forward.
template <class Real>
void gated_forward(const GatedForward<Real>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t F = a.extents.F;
  for (std::int64_t n = begin; n < end; ++n)
    for (std::int64_t f = 0; f < F; ++f) {
      const Real *gate = a.gate_up + n * 2 * F + f, *up = gate + F;
      a.out[n * F + f] = static_cast<Real>(activate(a.extents.activation, *gate) * *up);
    }
}

/// Rows begin .. end - 1 of gated_backward.
template <class Real>
void gated_backward(const GatedBackward<Real>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t F = a.extents.F;
  for (std::int64_t n = begin; n < end; ++n)
    for (std::int64_t f = 0; f < F; ++f) {
      const std::int64_t at = n * 2 * F + f;
      const double gate = a.gate_up[at], up = a.gate_up[at + F], d = a.d_out[n * F + f];
      a.d_gate_up[at] = static_cast<Real>(d * up * derivative(a.extents.activation, gate));
      a.d_gate_up[at + F] = static_cast<Real>(d * activate(a.extents.activation, gate));
    }
}

}  // namespace reference
}  // namespace fovea::kernels
