#pragma once

#include <functional>

#include "fovea/ops/context.h"

namespace fovea::ops {

/// What becomes of the logits [rows, V] of rows first .. first + rows - 1: losses, and, if gradients are
/// wanted, d_logits in the place of the logits.
using ChunkLoss = std::function<void(std::int64_t first, std::int64_t rows, float* logits)>;

/// An output layer under a loss: logits = x W^T + b, which exist only a chunk of rows at a time. Since
/// nothing comes after a loss, gradients are made in the same pass, while a chunk is still in the cache: that
/// of x is handed over by the tape, those of W and b are added at once. `gradient` says whether `loss` makes
/// d_logits.
/// Shapes   x [N, D]; W [V, D]; b [V] or undefined
void through_output_layer(const Context& ctx, const Tensor& x, const Tensor& W, const Tensor& b,
                          bool gradient, const ChunkLoss& loss);

}  // namespace fovea::ops
