#pragma once

#include <cstdint>

namespace fovea::kernels {

/// Activations of feed-forward layers, by their names in the literature.
///   relu  max(0, x)     gelu  x/2 (1 + erf(x/sqrt 2))     silu  x / (1 + e^-x)     tanh     identity
enum class Activation : std::uint8_t { identity, relu, gelu, silu, tanh };

}  // namespace fovea::kernels
