#pragma once

#include <cstdint>

#include "fovea/base/random.h"
#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Activations of feed-forward layers, by their names in the literature.
///   relu  max(0, x)     gelu  x/2 (1 + erf(x/sqrt 2))     silu  x / (1 + e^-x)     tanh     identity
///   gelu_tanh   x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), what GPT-2 and gated T5 call gelu
///   gelu_quick  x / (1 + e^(-1.702 x)), CLIP's
/// Source   Hendrycks and Gimpel 2016 for the three of gelu
/// Errors of the vector kernels, relative to max(1, |x|): below 3e-7; of the derivatives below 5e-7.
enum class Activation : std::uint8_t { identity, relu, gelu, silu, tanh, gelu_tanh, gelu_quick };

/// out[i] = m * activation(pre[i]), m = dropout.multiplier(i). In place allowed.
void activation_forward(const Execution& exec, std::int64_t count, Activation activation,
                        const Dropout& dropout, const float* pre, float* out);

/// d_pre = d_out * m * activation'(pre). For relu `pre` may be the activation's output: where dropout made it
/// 0, m is 0 as well. In place allowed (d_pre == d_out).
void activation_backward(const Execution& exec, std::int64_t count, Activation activation,
                         const Dropout& dropout, const float* pre, const float* d_out, float* d_pre);

}  // namespace fovea::kernels
