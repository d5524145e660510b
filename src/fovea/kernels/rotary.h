#pragma once

#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Heads inside rows of a matrix that are turned by the angles of their row's position. With (a, b) elements
/// (e, e + width/2) of a head, or (2e, 2e + 1) if interleaved, e < width/2, and p = position[n]:
///   y_a = x_a cos[p][e] - x_b sin[p][e],   y_b = x_b cos[p][e] + x_a sin[p][e]
/// Elements from `width` on are neither read nor written. `inverse` turns back (the transpose, times the
/// square of whatever factor the tables carry): it is the gradient.
/// Source: Su et al. 2021, equation (34).
struct RotaryExtents {
  std::int64_t N = 0;      ///< rows
  std::int64_t row = 0;    ///< floats from one row to the next
  std::int64_t heads = 0;  ///< H
  std::int64_t head = 0;   ///< floats from one head to the next
  std::int64_t width = 0;  ///< rotated elements of a head: even
  bool interleaved = false;
  bool inverse = false;
};

/// cos, sin [positions, width/2]; x and y begin at the first head of row 0 and have the same strides; y may
/// be x. The caller has checked the positions.
void rotary(const Execution& exec, const RotaryExtents& extents, const std::int32_t* position,
            const float* cos, const float* sin, const float* x, float* y);

}  // namespace fovea::kernels
