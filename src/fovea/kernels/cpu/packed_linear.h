#pragma once

#include "fovea/kernels/packed_linear.h"

/// The products of packed_linear.h by tiles of up to 6 rows of x and 64 rows of W, whose sums stay in
/// registers for all of K. A step is 4 bytes of each row of W: 2 elements of bf16 or 4 integers.
namespace fovea::kernels::cpu {

inline constexpr int linear_tile_rows = 6;
inline constexpr std::int64_t linear_panel = 64;  // rows of W that lie together: columns of y
inline constexpr std::int64_t linear_lanes = 16;  // tiles have whole groups of so many columns
inline constexpr std::int64_t linear_step_bytes = 4;

constexpr std::int64_t linear_steps(DType dtype, std::int64_t K) {
  const std::int64_t elements = linear_step_bytes / static_cast<std::int64_t>(size_of(dtype));
  return (K + elements - 1) / elements;
}

/// A row of x made ready: `scale` and `start` are of i8 alone. start = -128 * sum of its integers, from where
/// a sum over w + 128 arrives at the sum over w.
struct LinearRowState {
  float scale;
  std::int32_t start;
};

struct LinearTile {
  std::int64_t steps;
  const std::byte* x;  ///< rows made ready
  std::int64_t x_stride;
  const LinearRowState* state;  ///< [rows]
  const std::byte* w;           ///< [steps][64][4 bytes]
  float* sums;                  ///< [rows][64]: written
  const float* y;               ///< where the sums go afterwards, to be fetched meanwhile
  std::int64_t y_stride;
  const std::byte*
      ahead;  ///< what is needed next: each step fetches the line at `ahead` and the one after it,
  std::int64_t ahead_step;  ///< and moves on by so many bytes
};

/// Where a tile's sums go; all pointers are at its first element.
struct LinearFinish {
  const LinearRowState* state;  ///< [rows]
  const float* scales;          ///< of columns, or none: bf16
  const float* bias;
  const float* residual;
  float* y;
  std::int64_t stride;  ///< of y and residual
  Activation activation;
  bool accumulate;
};

/// How a kernel set computes one dtype.
struct LinearKernels {
  std::int64_t x_step_bytes;  ///< a step of a row made ready
  LinearRowState (*prepare)(const float* x, std::int64_t K, std::byte* to);
  void (*tile)(int rows, int groups, const LinearTile& tile);  ///< groups of 16 columns
  void (*finish)(const LinearFinish& finish, int rows, std::int64_t columns, const float* sums);
};

/// The best of `set` that this processor has (set is not `reference`).
LinearKernels linear_kernels(KernelSet set, DType dtype);

/// to [steps][64] = 4-byte steps of up to 64 rows [rows][steps].
void linear_pack_panel(KernelSet set, const std::byte* from, std::int64_t rows, std::int64_t steps,
                       std::byte* to);

#define FOVEA_LINEAR_SET(set)                                                                        \
  namespace set {                                                                                    \
  LinearRowState linear_prepare_rounded(const float* x, std::int64_t K, std::byte* to);              \
  LinearRowState linear_prepare_integers(const float* x, std::int64_t K, std::byte* to);             \
  void linear_tile_widened(int rows, int groups, const LinearTile& tile);                            \
  void linear_finish(const LinearFinish& finish, int rows, std::int64_t columns, const float* sums); \
  void linear_transpose(const float* from, std::int64_t rows, std::int64_t steps, float* to);        \
  }
FOVEA_LINEAR_SET(plain)
FOVEA_LINEAR_SET(avx2)
FOVEA_LINEAR_SET(avx512)
#undef FOVEA_LINEAR_SET

namespace plain {
void linear_tile_integers(int rows, int groups, const LinearTile& tile);
}
namespace avx2 {
void linear_tile_integers(int rows, int groups, const LinearTile& tile);
}
namespace avx512_dot16 {
LinearRowState linear_prepare_pairs(const float* x, std::int64_t K, std::byte* to);
void linear_tile_pairs(int rows, int groups, const LinearTile& tile);
}  // namespace avx512_dot16
namespace avx512_dot8 {
LinearRowState linear_prepare_integers(const float* x, std::int64_t K, std::byte* to);
void linear_tile_integers(int rows, int groups, const LinearTile& tile);
}  // namespace avx512_dot8

}  // namespace fovea::kernels::cpu
