#pragma once

#include "fovea/ops/context.h"

namespace fovea::ops {

/// Sums over target tokens, in nats.
struct LossSums {
  double loss = 0.0;  ///< with label smoothing
  double nll = 0.0;   ///< -log p(target)
  std::int64_t tokens = 0;
};

/// The sums of losses [2, N]: with label smoothing, and -log p(target).
LossSums sum_of_losses(const Tensor& losses);

/// The output layer and its loss in one: logits = x W^T + b, loss = cross-entropy with label smoothing.
/// The [N, V] logits exist only a chunk of rows at a time. Since nothing comes after a loss, the gradients of
/// weight * sum of losses are made in the same pass while a chunk is still in the cache: that of x is handed
/// over by the tape, that of W and b is added at once. Shapes   x [N, D]; W [V, D]; b [V] or undefined;
/// targets [N] (i32) Source   label smoothing: Szegedy et al. 2016, section 7
LossSums linear_cross_entropy(const Context& ctx, const Tensor& x_ND, const Tensor& W, const Tensor& b,
                              const Tensor& targets, float smoothing, float weight);

}  // namespace fovea::ops
