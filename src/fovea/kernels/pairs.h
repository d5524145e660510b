#pragma once

#include <cstdint>

#include "fovea/kernels/attention.h"
#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Where explicit scores or weights lie ("pairs"): sequence b has a block [H, T_b, S_b], T_b = q_count[b],
/// S_b = k_count[b], that begins at float offset[b]; blocks lie one after another.
struct PairExtents {
  std::int64_t sequences = 0;
  std::int64_t heads = 1;
  const std::int64_t* q_start = nullptr;  ///< [sequences] first row of the queries of a sequence
  const std::int64_t* q_count = nullptr;
  const std::int64_t* k_start = nullptr;
  const std::int64_t* k_count = nullptr;
  const std::int64_t* offset = nullptr;  ///< [sequences + 1], floats

  std::int64_t row(std::int64_t b, std::int64_t h, std::int64_t t) const {
    return offset[b] + (h * q_count[b] + t) * k_count[b];
  }
  std::int64_t elements() const { return sequences > 0 ? offset[sequences] : 0; }
};

/// Number of the first pair of head h of sequence b for random numbers, as in kernels/attention.h: pair (t,j)
/// is this + t*S_b + j.
inline std::uint64_t first_random_pair(const PairExtents& x, std::int64_t b, std::int64_t h) {
  return static_cast<std::uint64_t>(b * x.heads + h) << 40;
}

/// The three products between pairs and two operands whose heads are strided: `rows` go with the queries (q,
/// or the context), `keys` with the keys (k, or v). Query head h meets key head h / (H / kv_heads).
struct PairProduct {
  PairExtents pairs;
  std::int64_t kv_heads = 1;
  std::int64_t width = 0;  ///< E of both operands
  HeadStrides rows, keys;
  const std::int32_t* key_rows = nullptr;  ///< key j of sequence b lies in row key_rows[k_start[b] + j]
};

// In all three a sequence's bits depend on its own lengths and operands alone. A pair of exactly 0 is never
// multiplied, so what is masked cannot leak a NaN. Error(bug) if kv_heads does not divide the heads or a
// width is not positive. Uses slots 0, 1 and 4 of the workspace.

/// pairs[h,t,j] = scale * rows[t,h] . keys[j,h]. Cost T*S*E multiply-adds a head.
void pair_dot(const Execution& exec, const PairProduct& x, float scale, const float* rows, const float* keys,
              float* pairs);

/// rows[t,h] (+)= sum_j pairs[h,t,j] keys[j,h]
void pair_mix(const Execution& exec, const PairProduct& x, const float* pairs, const float* keys,
              bool accumulate, float* rows);

/// keys[j,g] += sum over heads h of group g, then over t, of pairs[h,t,j] rows[t,h]. Without key_rows (else
/// Error: bug): keys that sequences share would be written by several.
void pair_mix_transposed(const Execution& exec, const PairProduct& x, const float* pairs, const float* rows,
                         float* keys);

/// out[p] = a[p] * m[p], m the dropout multipliers of the pairs' own numbers (first_random_pair). In place
/// allowed. It is its own backward.
void pair_dropout(const Execution& exec, const PairExtents& x, const Dropout& dropout, const float* a,
                  float* out);

}  // namespace fovea::kernels
