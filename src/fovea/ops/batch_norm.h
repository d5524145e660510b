#pragma once

#include "fovea/ops/context.h"

namespace fovea::ops {

/// What batch normalisation remembers of the batches it trained on, [C] each. Not learned by gradients.
struct RunningMoments {
  Tensor mean, variance;
};

struct BatchNormOptions {
  float eps = 1e-5f;
  float momentum = 0.1f;  ///< weight of a new batch in the running moments
};

/// y = (x - mean) / sqrt(variance + eps) * gamma + beta by channel. While training (ctx.training) mean and
/// biased variance are those of all rows, and `running` moves towards them (the unbiased variance, as PyTorch
/// keeps it); else they are `running`, and a row's result depends on nothing else.
/// Shapes   x [..., C]: the last axis are channels, all others rows; gamma, beta and `running` [C]
/// Source   Ioffe and Szegedy 2015, algorithms 1 and 2
Tensor batch_norm(const Context& ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const RunningMoments& running, const BatchNormOptions& options = {});

}  // namespace fovea::ops
