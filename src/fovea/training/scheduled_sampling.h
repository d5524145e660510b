#pragma once

#include <cstdint>

#include "fovea/training/recipe.h"

namespace fovea::training {

/// Scheduled sampling (Bengio et al. 2015): the share of target tokens that the model reads as it predicted
/// them, at update t = 1, 2, ... of `options`. With n = t - 1 updates behind, F = scheduled_sampling and
/// w = scheduled_sampling_warmup,
///   linear            F min(1, n / w)
///   inverse_sigmoid   F (1 - k / (k + exp(n / k))), section 2.4; k such that 0.99 F is reached at n = w, and
///                     at least 1
/// F at once where w = 0.
double own_token_share(const TrainingOptions& options, std::int64_t t);

}  // namespace fovea::training
