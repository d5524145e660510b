#pragma once

#include <cstdint>

#include "fovea/base/random.h"
#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// out[n,:] = dropout(scale * table[ids[n],:] + positions[position[n],:]); positions may be null. [V,D],
/// [P,D] -> [N,D]. The multiplier of out[n,d] is that of element n*D + d. The caller has checked ids and
/// positions.
struct EmbedExtents {
  std::int64_t N = 0, D = 0;
  float scale = 1.0f;
  Dropout dropout{};
};
void embed_forward(const Execution& exec, const EmbedExtents& extents, const std::int32_t* ids,
                   const float* table, const std::int32_t* position, const float* positions, float* out);

/// d_table[ids[n],:] += scale * m * d_out[n,:]; d_positions (nullable) [position[n],:] += m * d_out[n,:].
/// Each thread takes the rows of its own ids, in order of n: the same bits for any number of threads.
void embed_backward(const Execution& exec, const EmbedExtents& extents, const std::int32_t* ids,
                    const std::int32_t* position, const float* d_out, float* d_table, float* d_positions);

}  // namespace fovea::kernels
