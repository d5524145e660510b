#pragma once

#include <cstdint>

#include "fovea/kernels/activation.h"

namespace fovea::kernels {

/// The gate of a feed-forward layer, whose two products leave one matrix [N, 2F]: gate, then up.
///   out[n,f] = activation(gate[n,f]) * up[n,f]
/// Source   Dauphin et al. 2017; Shazeer 2020 (SwiGLU: silu, GEGLU: gelu)
struct GatedExtents {
  std::int64_t N = 0, F = 0;
  Activation activation = Activation::silu;
};

/// gate_up [N, 2F] -> out [N, F].
void gated_forward(const Execution& exec, const GatedExtents& extents, const float* gate_up, float* out);

/// d_gate = d_out * up * activation'(gate), d_up = d_out * activation(gate); d_gate_up [N, 2F] may equal
/// gate_up.
void gated_backward(const Execution& exec, const GatedExtents& extents, const float* gate_up,
                    const float* d_out, float* d_gate_up);

}  // namespace fovea::kernels
