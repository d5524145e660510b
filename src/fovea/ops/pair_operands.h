#pragma once

#include <algorithm>
#include <string>

#include "fovea/kernels/pairs.h"
#include "fovea/ops/pairs.h"

/// What the products between explicit pairs and packed heads check and set up alike.
namespace fovea::ops {

/// Throws Error(bug), naming `where`, unless the heads lie in the matrix.
inline void expect_pair_heads(const PackedHeads& operand, std::int64_t heads, std::int64_t width,
                              const char* where) {
  const Tensor& matrix = operand.matrix;
  if (matrix.shape().rank() == 2 && operand.first >= 0 && width > 0 &&
      operand.first + heads * width <= matrix.dim(1))
    return;
  throw Error(Error::Kind::bug, where,
              std::to_string(heads) + " heads of width E = " + std::to_string(width) + " from column " +
                  std::to_string(operand.first) + " do not fit in " + matrix.shape().text());
}

/// Throws Error(bug) unless kv_heads key heads can serve `heads` query heads.
inline void expect_pair_groups(std::int64_t heads, std::int64_t kv_heads, const char* where) {
  if (kv_heads > 0 && heads % kv_heads == 0) return;
  throw Error(Error::Kind::bug, where,
              "H = " + std::to_string(heads) + " query heads cannot share " + std::to_string(kv_heads) +
                  " key heads");
}

/// Where an op adds its share to the gradient of a matrix in whose columns others may write, too.
inline float* gradient_columns(const PackedHeads& operand) {
  const auto target = gradient_target(operand.matrix);
  if (!target.accumulate) std::fill_n(target.data, operand.matrix.elements(), 0.0f);
  return target.data + operand.first;
}

inline kernels::PairProduct pair_product(const Pairs& pairs, std::int64_t kv_heads, std::int64_t width,
                                         std::int64_t row_stride, std::int64_t key_stride) {
  kernels::PairProduct x;
  x.pairs = pairs.extents();
  x.kv_heads = kv_heads;
  x.width = width;
  x.rows = {row_stride, width};
  x.keys = {key_stride, width};
  x.key_rows = pairs.keys().rows.empty() ? nullptr : pairs.keys().rows.data();
  return x;
}

}  // namespace fovea::ops
