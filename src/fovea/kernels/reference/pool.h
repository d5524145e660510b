#pragma once

#include <cmath>
#include <cstdint>

#include "fovea/kernels/pool.h"

namespace fovea::kernels {

/// Arguments of pooling; of double where tests want that.
template <class Real>
struct PoolPixels {
  std::int64_t P, C;
  const Real* x;
  Real *average, *maximum;
  std::int32_t* which;
};
template <class Real>
struct PoolChannels {
  std::int64_t C;
  const Real* x;
  Real* out;
  std::int32_t* which;
};

namespace reference {

/// Whether x takes the place of `largest`: the first largest stays, NaN is larger than numbers.
template <class Real>
bool larger(Real x, Real largest) {
  return x > largest || (std::isnan(x) && !std::isnan(largest));
}

/// Channels begin .. end - 1 of image n.
template <class Real>
void pool_pixels(const PoolPixels<Real>& a, std::int64_t n, std::int64_t begin, std::int64_t end) {
  for (std::int64_t c = begin; c < end; ++c) {
    const Real* x = a.x + n * a.P * a.C + c;
    double sum = 0.0;
    std::int32_t best = 0;
    for (std::int64_t p = 0; p < a.P; ++p) {
      sum += x[p * a.C];
      if (larger(x[p * a.C], x[best * a.C])) best = static_cast<std::int32_t>(p);
    }
    if (a.average) a.average[n * a.C + c] = static_cast<Real>(sum / static_cast<double>(a.P));
    if (a.maximum) a.maximum[n * a.C + c] = x[best * a.C];
    if (a.which) a.which[n * a.C + c] = best;
  }
}

/// Rows begin .. end - 1.
template <class Real>
void pool_channels(const PoolChannels<Real>& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t r = begin; r < end; ++r) {
    const Real* x = a.x + r * a.C;
    double sum = 0.0;
    std::int32_t best = 0;
    for (std::int64_t c = 0; c < a.C; ++c) {
      sum += x[c];
      if (larger(x[c], x[best])) best = static_cast<std::int32_t>(c);
    }
    a.out[2 * r] = static_cast<Real>(sum / static_cast<double>(a.C));
    a.out[2 * r + 1] = x[best];
    a.which[r] = best;
  }
}

}  // namespace reference
}  // namespace fovea::kernels
