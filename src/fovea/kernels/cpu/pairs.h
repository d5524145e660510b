#pragma once

#include <algorithm>
#include <cstdint>

#include "fovea/kernels/cpu/attention_simd.h"
#include "fovea/kernels/cpu/loops.h"

namespace fovea::kernels::cpu {

/// [rows, width] = a [rows, columns] x [columns, width], with strides in floats.
struct SparseProduct {
  std::int64_t rows, columns, width;
  const float* a;
  std::int64_t a_row, a_column;
  const float* x;
  std::int64_t x_stride, out_stride;
};

/// The keys of one sequence and head: one after another, or picked by row.
struct PairKeys {
  const float* data;
  std::int64_t stride;
  const std::int32_t* rows;
  const float* operator[](std::int64_t j) const { return data + (rows ? rows[j] : j) * stride; }
};

}  // namespace fovea::kernels::cpu

/// Adds to each namespace of simd.h
///   all_finite(count, row_width, stride, x)   whether rows hold neither infinity nor NaN
///   sparse_product(p, accumulate, out)        a product that passes over what is exactly 0
///   row_dots(S, width, row, keys, scale, out)         out[j] = scale * row . keys[j]
///   row_mix(S, width, weights, keys, accumulate, out) out (+)= sum_j weights[j] keys[j], as sparse_product
///   scaled_product(count, factor, a, b, out)  out = factor * a * b; b null: factor * a
#define FOVEA_BODY "fovea/kernels/cpu/pairs.inl"
#include "fovea/kernels/cpu/for_each_isa.h"
