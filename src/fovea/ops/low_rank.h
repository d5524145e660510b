#pragma once

#include <cstdint>

#include "fovea/ops/context.h"
#include "fovea/ops/norm.h"

namespace fovea::ops {

/// What is added to a product's output, y[:, first .. first + out) += scale dropout(x) A^T B^T, for a matrix
/// that is not learned itself.
/// Source   Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1
struct LowRank {
  Tensor A;                ///< [r, in]
  Tensor B;                ///< [out, r]
  std::int64_t first = 0;  ///< column of y
  float scale = 1.0f;
  Dropping dropping = {};  ///< of x

  std::int64_t rank() const { return A.dim(0); }
};

/// Rows of memory that a term reads or writes.
struct Columns {
  float* data = nullptr;
  std::int64_t stride = 0;  ///< floats from one row to the next
};

/// Adds the term of rows x [N, in] to y. Gives u = scale dropout(x) A^T, [N, r], for the way back.
Tensor add_low_rank(const Context& ctx, const LowRank& term, std::int64_t N, const float* x,
                    const Columns& y);

/// Hands on the gradients of x, A and B, given that of y and what add_low_rank() gave.
void low_rank_backward(const kernels::Execution& exec, const LowRank& term, const Dropout& dropout,
                       const Tensor& x, const Tensor& u, const Columns& d_y);

/// Throws Error(bug), naming the shapes, unless the term fits a product of W [out, in].
void expect_fitting(const LowRank& term, const Tensor& W);

}  // namespace fovea::ops
