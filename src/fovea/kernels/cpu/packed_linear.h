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
  const std::byte* ahead;   ///< what is needed next:
  std::int64_t ahead_step;  ///< so many bytes of it are to be fetched a step; 0, 64, 128, or 256
};

/// Groups of columns of which a tile of so many rows keeps sums at once, where 16 registers hold 8 each.
constexpr int linear_groups_at_once(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }

/// What a pass of a tile over its panel fetches: `lines` at `at` a step, which moves on by `step` bytes.
struct LinearAhead {
  const std::byte* at;
  std::int64_t step;
};

/// Of the pass over `together` groups from `group` on. One row goes over its panel once, and asks for what
/// lies a page ahead, where the processor does not look by itself: 512 -> 32000 in i8 on a Zen 3, one thread,
/// 1037 us without, 475 with. More rows share the tile's `ahead` among their passes.
inline LinearAhead ahead_of(const LinearTile& t, int group, int together) {
  constexpr std::int64_t page = 4096, bytes = linear_panel * linear_step_bytes;
  if (together == 4) return {t.w + page, bytes};
  const std::int64_t step = t.ahead_step * together / 4;
  return {t.ahead + group / together * t.steps * step, step};
}

template <int lines>
inline void fetch_ahead(LinearAhead& ahead) {
#pragma GCC unroll 4
  for (int line = 0; line < lines; ++line) __builtin_prefetch(ahead.at + 64 * line, 0, lines == 4 ? 3 : 2);
  ahead.at += ahead.step;
}

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
  double products_a_cycle;    ///< of a thread, roughly
  bool fetches_alone;         ///< a tile that is a panel's only one is to fetch all of the next, too
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
  void linear_tile_widened(int rows, int groups, const LinearTile& tile);                            \
  void linear_finish(const LinearFinish& finish, int rows, std::int64_t columns, const float* sums); \
  void linear_transpose(const float* from, std::int64_t rows, std::int64_t steps, float* to);        \
  }
FOVEA_LINEAR_SET(plain)
FOVEA_LINEAR_SET(avx2)
FOVEA_LINEAR_SET(avx512)
#undef FOVEA_LINEAR_SET

namespace plain {
LinearRowState linear_prepare_integers(const float* x, std::int64_t K, std::byte* to);
void linear_tile_integers(int rows, int groups, const LinearTile& tile);
}  // namespace plain
namespace avx2 {
LinearRowState linear_prepare_words(const float* x, std::int64_t K, std::byte* to);
void linear_tile_integers(int rows, int groups, const LinearTile& tile);
}  // namespace avx2
namespace avx512_dot16 {
LinearRowState linear_prepare_pairs(const float* x, std::int64_t K, std::byte* to);
void linear_tile_pairs(int rows, int groups, const LinearTile& tile);
}  // namespace avx512_dot16
namespace avx512_dot8 {
LinearRowState linear_prepare_integers(const float* x, std::int64_t K, std::byte* to);
void linear_tile_integers(int rows, int groups, const LinearTile& tile);
}  // namespace avx512_dot8

}  // namespace fovea::kernels::cpu
