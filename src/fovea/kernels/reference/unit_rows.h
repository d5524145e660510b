#pragma once

#include <cmath>
#include <cstdint>

namespace fovea::kernels::reference {

inline void unit_rows_forward(std::int64_t E, float sharpness, const float* x, float* y, float* length) {
  double square = 0.0;
  for (std::int64_t e = 0; e < E; ++e) square += double{x[e]} * double{x[e]};
  const double norm = std::sqrt(square), factor = norm > 0.0 ? sharpness / norm : 0.0;
  for (std::int64_t e = 0; e < E; ++e) y[e] = norm == 0.0 ? 0.0f : static_cast<float>(factor * double{x[e]});
  *length = static_cast<float>(norm);
}

/// Returns u.d_y, u the vector of length 1.
inline float unit_rows_backward(std::int64_t E, float sharpness, float length, const float* d_y,
                                const float* x, float* d_x) {
  double along = 0.0;
  if (length == 0.0f) {
    for (std::int64_t e = 0; e < E; ++e) d_x[e] = 0.0f;
    return 0.0f;
  }
  for (std::int64_t e = 0; e < E; ++e) along += double{x[e]} / length * double{d_y[e]};
  for (std::int64_t e = 0; e < E; ++e)
    d_x[e] = static_cast<float>(double{sharpness} / length * (d_y[e] - double{x[e]} / length * along));
  return static_cast<float>(along);
}

}  // namespace fovea::kernels::reference
