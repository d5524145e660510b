#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "fovea/kernels/cross_entropy.h"

namespace fovea::kernels {

/// Arguments of cross_entropy; of double where tests want that.
template <class Real>
struct CrossEntropy {
  CrossEntropyExtents extents;
  Real* logits;
  const std::int32_t* targets;
  Real *losses, *nll;
};

namespace reference {

/// Rows begin .. end - 1 of cross_entropy. Logits count from the row's largest, so that large ones lose
/// nothing.
template <class Real>
void cross_entropy(const CrossEntropy<Real>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t V = a.extents.V;
  const double smoothing = a.extents.smoothing, share = smoothing / static_cast<double>(V);
  for (std::int64_t n = begin; n < end; ++n) {
    Real* x = a.logits + n * V;
    const std::int64_t target = a.targets[n];
    double max = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::int64_t v = 0; v < V; ++v) max = std::max(max, double(x[v]));
    for (std::int64_t v = 0; v < V; ++v) sum += std::exp(x[v] - max);
    const auto log_p = [&](std::int64_t v) { return (x[v] - max) - std::log(sum); };
    double loss = -(1.0 - smoothing) * log_p(target);
    if (smoothing > 0)
      for (std::int64_t v = 0; v < V; ++v) loss -= share * log_p(v);
    if (a.nll) a.nll[n] = static_cast<Real>(-log_p(target));
    a.losses[n] = static_cast<Real>(loss);
    if (!a.extents.gradient) continue;
    for (std::int64_t v = 0; v < V; ++v) {
      const double q = (v == target ? 1.0 - smoothing : 0.0) + share;
      x[v] = static_cast<Real>(a.extents.weight * (std::exp(log_p(v)) - q));
    }
  }
}

}  // namespace reference
}  // namespace fovea::kernels
