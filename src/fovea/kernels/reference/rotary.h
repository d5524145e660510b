#pragma once

#include "fovea/kernels/rotary.h"

namespace fovea::kernels {

/// Arguments of rotary; of double where tests want that.
template <class Real>
struct RotaryRows {
  RotaryExtents extents;
  const std::int32_t* position;
  const Real *cos, *sin, *x;
  Real* y;
};

namespace reference {

/// Rows begin .. end - 1 of rotary.
template <class Real>
void rotary(const RotaryRows<Real>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t half = a.extents.width / 2;
  for (std::int64_t n = begin; n < end; ++n) {
    for (std::int64_t h = 0; h < a.extents.heads; ++h) {
      const std::int64_t first = n * a.extents.row + h * a.extents.head;
      for (std::int64_t e = 0; e < half; ++e) {
        const double cos = a.cos[a.position[n] * half + e];
        const double sin = (a.extents.inverse ? -1.0 : 1.0) * a.sin[a.position[n] * half + e];
        const std::int64_t i = first + (a.extents.interleaved ? 2 * e : e);
        const std::int64_t j = a.extents.interleaved ? i + 1 : i + half;
        const double x_i = a.x[i], x_j = a.x[j];
        a.y[i] = static_cast<Real>(x_i * cos - x_j * sin);
        a.y[j] = static_cast<Real>(x_j * cos + x_i * sin);
      }
    }
  }
}

}  // namespace reference
}  // namespace fovea::kernels
