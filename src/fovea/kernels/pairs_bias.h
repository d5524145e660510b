#pragma once

#include <cstdint>

#include "fovea/kernels/pairs.h"
#include "fovea/kernels/pairs_visibility.h"

namespace fovea::kernels {

/// An additive bias on pairs. Packed: laid out as pairs of `packed_heads` heads (1 or H). Else the element
/// for (b,h,t,j) lies at b*sequence + h*head + t*query + j*key; a stride of 0 broadcasts. `elements` in all.
struct PairBias {
  std::int64_t packed_heads = 0;  ///< 0: by strides
  std::int64_t sequence = 0, head = 0, query = 0, key = 0;
  std::int64_t elements = 0;
};

/// out = scores + bias; out may equal scores.
void add_pair_bias(const Execution& exec, const PairExtents& x, const PairBias& layout, const float* scores,
                   const float* bias, float* out);

/// d_bias += the sum of d_out over all pairs that share an element, in double and in a fixed order. Slot 5.
void add_pair_bias_backward(const Execution& exec, const PairExtents& x, const PairBias& layout,
                            const float* d_out, float* d_bias);

/// A bias by distance, as tiled attention takes it: relative[h*head + zero + (i - j)], i the position of
/// query t (t + S - T, or t where aligned to the start). head 0: heads share it. Every distance of the batch
/// must lie within -zero .. count - zero - 1.
struct RelativeBias {
  RowAlignment alignment = RowAlignment::end;
  std::int64_t head = 0, zero = 0, count = 0;
};
void add_relative_bias(const Execution& exec, const PairExtents& x, const RelativeBias& layout,
                       const float* scores, const float* relative, float* out);
void add_relative_bias_backward(const Execution& exec, const PairExtents& x, const RelativeBias& layout,
                                const float* d_out, float* d_relative);

}  // namespace fovea::kernels
