#pragma once

#include <cstdint>

#include "fovea/kernels/embedding.h"

namespace fovea::kernels {

/// Arguments of embed_forward; of double where tests want that.
template <class Real>
struct EmbedForward {
  EmbedExtents extents;
  const std::int32_t* ids;
  const Real* table;
  const std::int32_t* position;
  const Real* positions;
  Real* out;
};

/// One table's gradient: d_table[rows[n],:] += scale * m * d_out[n,:] for the n whose row is `part` modulo
/// `parts`.
template <class Real>
struct EmbedBackward {
  EmbedExtents extents;
  const std::int32_t* rows;
  const Real* d_out;
  Real* d_table;
};

namespace reference {

/// Rows begin .. end - 1 of embed_forward.
template <class Real>
void embed_forward(const EmbedForward<Real>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t D = a.extents.D;
  for (std::int64_t n = begin; n < end; ++n) {
    for (std::int64_t d = 0; d < D; ++d) {
      double x = double(a.extents.scale) * a.table[a.ids[n] * D + d];
      if (a.positions) x += a.positions[a.position[n] * D + d];
      a.out[n * D + d] =
          static_cast<Real>(a.extents.dropout.multiplier(static_cast<std::uint64_t>(n * D + d)) * x);
    }
  }
}

template <class Real>
void embed_backward(const EmbedBackward<Real>& a, std::uint32_t part, std::uint32_t parts) {
  const std::int64_t D = a.extents.D;
  for (std::int64_t n = 0; n < a.extents.N; ++n) {
    if (static_cast<std::uint32_t>(a.rows[n]) % parts != part) continue;
    for (std::int64_t d = 0; d < D; ++d) {
      const double m = a.extents.dropout.multiplier(static_cast<std::uint64_t>(n * D + d));
      a.d_table[a.rows[n] * D + d] += static_cast<Real>(a.extents.scale * m * a.d_out[n * D + d]);
    }
  }
}

}  // namespace reference
}  // namespace fovea::kernels
