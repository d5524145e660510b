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

inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
inline double times_sigmoid(double x, double z) { return std::isinf(x) ? std::fmax(x, 0.0) : x * sigmoid(z); }
/// Of gelu_tanh: 1 + tanh u = 2 sigmoid(2u).
inline double tanh_argument(double x) {
  return std::sqrt(2.0 / 3.141592653589793) * (x + 0.044715 * x * x * x);
}

inline double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::identity:
      return x;
    case Activation::relu:
      return x < 0.0 ? 0.0 : x;
    case Activation::gelu:
      return std::isinf(x) ? std::fmax(x, 0.0) : 0.5 * x * std::erfc(-x * std::sqrt(0.5));
    case Activation::silu:
      return times_sigmoid(x, x);
    case Activation::tanh:
      return std::tanh(x);
    case Activation::gelu_tanh:
      return times_sigmoid(x, 2.0 * tanh_argument(x));
    case Activation::gelu_quick:
      return times_sigmoid(x, 1.702 * x);
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
    case Activation::silu:
      return sigmoid(x) * (1.0 + x * sigmoid(-x));
    case Activation::tanh:
      return 1.0 - std::tanh(x) * std::tanh(x);
    case Activation::gelu_tanh: {
      const double u = tanh_argument(x), s = sigmoid(2.0 * u), fall = sigmoid(-2.0 * u);
      const double slope = std::sqrt(2.0 / 3.141592653589793) * (1.0 + 3.0 * 0.044715 * x * x);
      return s + 2.0 * x * s * fall * slope;
    }
    case Activation::gelu_quick:
      return sigmoid(1.702 * x) * (1.0 + 1.702 * x * sigmoid(-1.702 * x));
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
