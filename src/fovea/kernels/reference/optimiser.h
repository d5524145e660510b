#pragma once

#include <cmath>
#include <cstdint>

#include "fovea/kernels/optimiser.h"

namespace fovea::kernels {

/// Arguments of adam; of double where tests want that. `average` may be null.
template <class Real>
struct Adam {
  AdamStep step;
  const Real* gradient;
  Real *m, *v, *weights, *average;
};

namespace reference {

/// Elements begin .. end - 1 of adam.
template <class Real>
void adam(const Adam<Real>& a, std::int64_t begin, std::int64_t end) {
  const AdamStep& s = a.step;
  const double beta1 = s.beta1, beta2 = s.beta2, t = static_cast<double>(s.t);
  for (std::int64_t i = begin; i < end; ++i) {
    const double w = a.weights[i];
    const double g =
        double(s.gradient_scale) * a.gradient[i] + (s.decoupled ? 0.0 : double(s.weight_decay) * w);
    const double m = beta1 * a.m[i] + (1.0 - beta1) * g, v = beta2 * a.v[i] + (1.0 - beta2) * g * g;
    const double direction =
        m / (1.0 - std::pow(beta1, t)) / (std::sqrt(v / (1.0 - std::pow(beta2, t))) + s.eps);
    const double updated = w - s.rate * (direction + (s.decoupled ? double(s.weight_decay) * w : 0.0));
    a.m[i] = static_cast<Real>(m);
    a.v[i] = static_cast<Real>(v);
    a.weights[i] = static_cast<Real>(updated);
    if (a.average)
      a.average[i] =
          static_cast<Real>(double(s.average_decay) * a.average[i] + (1.0 - s.average_decay) * updated);
  }
}

}  // namespace reference
}  // namespace fovea::kernels
