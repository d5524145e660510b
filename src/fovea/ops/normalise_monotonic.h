#pragma once

#include "fovea/kernels/normalise_monotonic.h"
#include "fovea/ops/normalise.h"

namespace fovea::ops {

using kernels::MonotonicMode;

struct MonotonicOptions {
  MonotonicMode mode = MonotonicMode::recursive;
  float noise = 0.0f;      ///< standard deviation of the noise on scores while training (Raffel et al. use 1)
  std::uint32_t site = 0;  ///< of the noise
  std::shared_ptr<const VisiblePairs> mask{};
};

/// Monotonic attention: alpha[t,j], the probability that output t stops at key j, from scores (energies with
/// their bias: sigmoid(score) is the probability of stopping once there). Formula, modes and source:
/// kernels/normalise_monotonic.h.
/// Shapes   scores pairs; returns pairs. `previous`: alpha before the first row, sequence after sequence
///          [H, S_b] (the pairs of a layout with T = 1): what a decoder that goes step by step has; of more
///          sequences, as of a batch that shrinks, the first count. Undefined: all at key 0
/// Grads    to scores and previous; none in hard mode
/// Edge     no mass left, or nothing stopped at: a row of zeros, and so are all that follow
Tensor monotonic(const Context& ctx, const Tensor& scores, const PairsPtr& pairs,
                 const MonotonicOptions& options, const Tensor& previous = {});

/// Monotonic chunkwise attention (Chiu and Raffel 2018): beta, a softmax of `energies` over the chunk of
/// `width` keys that ends where the monotonic attention alpha stops, in expectation. With alpha in hard mode
/// it is the decoder's. Shapes   alpha, energies, result: pairs. Grads to both
Tensor chunkwise(const Context& ctx, const Tensor& alpha, const Tensor& energies, const PairsPtr& pairs,
                 std::int64_t width, const std::shared_ptr<const VisiblePairs>& mask = nullptr);

}  // namespace fovea::ops
