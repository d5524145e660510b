#pragma once

#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Functions of one number, by element.
///   sigmoid   1 / (1 + e^-x)
///   root      sqrt(max(x, root_floor)): of a variance that rounding may have made negative
enum class Unary : std::uint8_t { sigmoid, root };
inline constexpr float root_floor = 1e-10f;

/// y[i] = f(x[i]). In place allowed.
void unary_forward(const Execution& exec, std::int64_t count, Unary f, const float* x, float* y);

/// d_x[i] = d_y[i] * f'(x[i]), from y alone: sigmoid y(1 - y); root 1/(2y), 0 at the floor. In place allowed.
void unary_backward(const Execution& exec, std::int64_t count, Unary f, const float* y, const float* d_y,
                    float* d_x);

enum class Binary : std::uint8_t { add, multiply };

/// Where element (n, p, c) of an operand lies: n*image + p*row + c*column floats from its first. 0 repeats it
/// along that axis; column is 0 or 1.
struct BroadcastStrides {
  std::int64_t image = 0, row = 0, column = 0;
};

/// An operation on two operands broadcast to [N, P, C] (images, pixels, channels; or any three axes).
struct BinaryExtents {
  std::int64_t N = 0, P = 0, C = 0;
  BroadcastStrides a, b;
};

/// y[n,p,c] = a op b; y contiguous, may be an operand that is not repeated.
void binary_forward(const Execution& exec, const BinaryExtents& extents, Binary op, const float* a,
                    const float* b, float* y);

/// d_a += d_y (add) or d_y * b (multiply), summed over the axes along which a was repeated. b may be null
/// for add. The gradient of b is that of the exchanged operands. Same bits for any number of threads.
void binary_backward(const Execution& exec, const BinaryExtents& extents, Binary op, const float* d_y,
                     const float* b, float* d_a);

}  // namespace fovea::kernels
