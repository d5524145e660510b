#pragma once

#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Cross-entropy with label smoothing (Szegedy et al. 2016) over rows of logits [N,V], fused with softmax and
/// its gradient:
///   q = (1 - smoothing) onehot(target) + smoothing / V        loss = -sum_v q_v log softmax(logits)_v
///   d_logits = weight * (softmax - q), written over logits if `gradient`
/// losses [N] receives each row's loss in nats; nll [N] (nullable) -log p(target) without smoothing. No
/// ignored targets: batches are packed. A row with a NaN or +infinity, or without a finite logit, gives NaN
/// for its losses and gradient. Throws Error(bug) if a target lies outside [0, V). A row's result does not
/// depend on the others.
struct CrossEntropyExtents {
  std::int64_t N = 0, V = 0;
  float smoothing = 0.0f;
  float weight = 1.0f;
  bool gradient = true;
};
void cross_entropy(const Execution& exec, const CrossEntropyExtents& extents, float* logits,
                   const std::int32_t* targets, float* losses, float* nll);

}  // namespace fovea::kernels
