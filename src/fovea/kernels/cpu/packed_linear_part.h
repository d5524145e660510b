#pragma once

#include <cstddef>
#include <cstdint>

#include "fovea/kernels/cpu/packed_linear.h"
#include "fovea/kernels/packed_linear.h"

namespace fovea::kernels {

/// Rows of x, or columns of y.
struct LinearRange {
  std::int64_t begin, count;
};

/// A product y = x W^T with its strides known; where y lies is said later.
struct LinearCall {
  const Execution& exec;
  std::int64_t M;
  const float* x;
  const PackedLinear& weights;
  LinearOptions options;
};

/// Throws Error(bug) for M below 0 or strides shorter than rows.
LinearCall checked_linear(const Execution& exec, std::int64_t M, const float* x, const PackedLinear& weights,
                          const LinearOptions& options);

/// One thread's share of a product: rows of x are made ready once for all columns that they meet. Uses slots
/// 0 and 1 of the workspace.
class LinearPart {
 public:
  /// For at most `rows` rows at a time.
  LinearPart(const LinearCall& call, int worker, std::int64_t rows);

  /// Makes the first of `rows` ready; how many: they and a panel of W share the second cache.
  std::int64_t make_ready(LinearRange rows);

  /// y[i,j] of `columns` of rows that are ready, y being its first element. columns.begin is a multiple of
  /// 64; a residual has y's row stride.
  void multiply(LinearRange rows, LinearRange columns, float* y, std::int64_t y_stride) const;

 private:
  void multiply_floats(LinearRange rows, LinearRange columns, float* y, std::int64_t y_stride) const;
  void multiply_by_loops(LinearRange rows, LinearRange columns, float* y, std::int64_t y_stride) const;
  void multiply_panel(LinearRange rows, LinearRange columns, float* y, std::int64_t y_stride,
                      bool last) const;
  bool has_tiles() const {
    return call_.weights.dtype() != DType::f32 && call_.exec.kernels != KernelSet::reference;
  }

  const LinearCall& call_;
  int worker_;
  cpu::LinearKernels kernels_{};
  // Rows made ready, from first_ on. They lie a line further apart than they are long, so that those of a
  // tile do not compete for the same lines of the first cache.
  cpu::LinearRowState* state_ = nullptr;
  std::byte* x_ = nullptr;
  std::int64_t stride_ = 0, most_ready_, first_ = 0;
};

}  // namespace fovea::kernels
