#include "fovea/attention/positions.h"

#include <cmath>

namespace fovea::attention {

Tensor sinusoidal_positions(std::int64_t positions, std::int64_t width) {
  Tensor table = Tensor::empty({positions, width});
  const std::int64_t sines = (width + 1) / 2;
  for (std::int64_t p = 0; p < positions; ++p) {
    float* row = table.f32() + p * width;
    for (std::int64_t i = 0; i < sines; ++i) {
      const double angle = static_cast<double>(p) /
                           std::pow(10000.0, 2.0 * static_cast<double>(i) / static_cast<double>(width));
      row[i] = static_cast<float>(std::sin(angle));
      if (sines + i < width) row[sines + i] = static_cast<float>(std::cos(angle));
    }
  }
  return table;
}

}  // namespace fovea::attention
