#pragma once

#include <cstddef>

#include "fovea/attention/record.h"
#include "fovea/kernels/execution.h"

namespace fovea::attention {

/// More tokens than this on a side are refused: there would be a maximum flow for each pair.
inline constexpr std::size_t most_flow_tokens = 200;

/// Attention flow: the attention graph as a network of pipes. Nodes are tokens between layers, an arc from
/// token t after a layer to token s before it can carry A_l[t,s] (rollout.h); the flow from a token after the
/// last layer to an input token is the greatest that the network carries between these two alone. Rollout
/// multiplies along paths, flow takes the narrowest pipe of each: what many paths share counts once.
/// Between the sides the network is that of rollout: from each decoder layer arcs lead to the encoder's
/// output (C_l / 2) and on to its input; the flow from step t to source token s is found in the whole of it.
/// Returns  one head [1, T, S], rows divided by their sums, as the authors' program does; numbered as the
///          layer it starts from (-1: the last)
/// Cost     T S maximum flows (max_flow.h), in double, over the threads of `exec`; 50 tokens through 6 layers
///          take tens of milliseconds, 200 a few seconds
/// Throws   Error(usage) for more than most_flow_tokens, or if the recording has no such side or layer
/// Source   Abnar and Zuidema, Quantifying attention flow in Transformers, ACL 2020, section 3
RecordedLayer flow(const kernels::Execution& exec, const Recording& recording, Side side, int through = -1);

}  // namespace fovea::attention
