#pragma once

#include <cmath>
#include <cstdint>

#include "fovea/kernels/activation.h"

namespace fovea::kernels {

/// Arguments of activation_forward and activation_backward; of double where tests want that.
template <class Real>
struct ActivationForward {
  Activation activation;
  Dropout dropout;
  const Real* pre;
  Real* out;
};
template <class Real>
struct ActivationBackward {
  Activation activation;
  Dropout dropout;
  const Real *pre, *d_out;
  Real* d_pre;
};

namespace reference {

inline double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::identity:
      return x;
    case Activation::relu:
      return x < 0.0 ? 0.0 : x;
    case Activation::gelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::silu:
      return x / (1.0 + std::exp(-x));
    case Activation::tanh:
      return std::tanh(x);
  }
  return x;
}

inline double derivative(Activation activation, double x) {
  switch (activation) {
    case Activation::identity:
      return 1.0;
    case Activation::relu:
      return x <= 0.0 ? 0.0 : 1.0;
    case Activation::gelu:
      return 0.5 * std::erfc(-x / std::sqrt(2.0)) +
             x * std::exp(-0.5 * x * x) / std::sqrt(2.0 * 3.141592653589793);
    case Activation::silu: {
      const double s = 1.0 / (1.0 + std::exp(-x));
      return s * (1.0 + x * (1.0 - s));
    }
    case Activation::tanh:
      return 1.0 - std::tanh(x) * std::tanh(x);
  }
  return 1.0;
}

/// Elements begin .. end - 1 of activation_forward.
template <class Real>
void activation_forward(const ActivationForward<Real>& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i)
    a.out[i] = static_cast<Real>(activate(a.activation, a.pre[i]) *
                                 a.dropout.multiplier(static_cast<std::uint64_t>(i)));
}

/// Elements begin .. end - 1 of activation_backward.
template <class Real>
void activation_backward(const ActivationBackward<Real>& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i)
    a.d_pre[i] = static_cast<Real>(a.d_out[i] * a.dropout.multiplier(static_cast<std::uint64_t>(i)) *
                                   derivative(a.activation, a.pre[i]));
}

}  // namespace reference
}  // namespace fovea::kernels
