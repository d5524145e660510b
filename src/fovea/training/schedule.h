#pragma once

#include <cstdint>

#include "fovea/training/recipe.h"

namespace fovea::training {

/// Learning rate of update t = 1, 2, ... of `options`; r = options.rate, w = options.warmup, u =
/// options.updates.
///   warm-up, t <= w   r t / w
///   inverse_sqrt      r sqrt(max(w, 1) / t), with r at its top (Vaswani et al. 2017, section 5.3)
///   cosine            m + (r - m) (1 + cos(pi (t - w)/(u - w))) / 2, m = minimum_rate (Loshchilov and
///                     Hutter 2017)
///   linear            m + (r - m) (1 - (t - w)/(u - w))
///   constant          r
/// Never below minimum_rate after the warm-up. Without a limit of updates, cosine and linear stay at r.
double learning_rate(const TrainingOptions& options, std::int64_t t);

}  // namespace fovea::training
