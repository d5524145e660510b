#pragma once

#include <cstdint>

#include "fovea/base/random.h"
#include "fovea/kernels/pairs.h"
#include "fovea/kernels/pairs_visibility.h"

namespace fovea::kernels {

/// Monotonic attention (Raffel et al. 2017): output t goes over the keys from where output t-1 stopped and
/// stops at key j with probability p[t,j]; alpha[t,j] is the probability that it stops there:
///   alpha[t,j] = p[t,j] q[t,j],  q[t,j] = (1 - p[t,j-1]) q[t,j-1] + alpha[t-1,j],  q[t,-1] = 0
/// Before the first output all mass lies at key 0. What passes the last key attends to nothing, then and
/// ever after: rows sum to at most 1. A hidden key has p = 0: it is passed over.
///   recursive   the recursion: exact, no division
///   parallel    p c cumsum(alpha[t-1] / max(c, 1e-10)), c the exclusive cumulative product of 1 - p: the
///   same
///               where c stays above 1e-10; it is what earlier toolkits train with, and its numbers theirs
///   hard        decoding: p rounded to 0 or 1 (1 if score > 0), so each row is the one key at which it
///   stops,
///               the first j at or after the previous one with p > 1/2, or zeros. No gradient
enum class MonotonicMode : std::uint8_t { recursive, parallel, hard };

struct MonotonicExtents {
  PairExtents pairs;
  PairVisibility visible;
  MonotonicMode mode = MonotonicMode::recursive;
  float noise =
      0.0f;  ///< standard deviation of the noise that is added to scores (not hard): drives p to 0 or 1
  RandomKey key{};  ///< of the noise: pair n of first_random_pair() draws word pair n mod 4 of block n / 4
  /// Where alpha before the first row lies: that of sequence b, [H, S_b], at previous + previous_offset[b].
  /// None: all mass at key 0. With it one row at a time gives what all rows at once do.
  const float* previous = nullptr;
  const std::int64_t* previous_offset = nullptr;
};

/// p[t,j] = sigmoid(score + noise * normal), or, hard, score > 0 ? 1 : 0; 0 where hidden. In place allowed.
void monotonic_probabilities(const Execution& exec, const MonotonicExtents& x, const float* scores, float* p);

/// alpha as above, from p. Cost: about 8 cycles a pair; heads and sequences in parallel, rows one after
/// another.
void monotonic_forward(const Execution& exec, const MonotonicExtents& x, const float* p, float* alpha);

/// d_scores (overwritten) and, if given, d_previous (overwritten; laid out as previous) from d_alpha; p and
/// alpha as forward left them. Slot 4 of the workspace.
void monotonic_backward(const Execution& exec, const MonotonicExtents& x, const float* p, const float* alpha,
                        const float* d_alpha, float* d_scores, float* d_previous);

/// Monotonic chunkwise attention (Chiu and Raffel 2018): where the hard attention stops at key k, a softmax
/// over the `width` keys that end with k; in expectation
///   beta[t,l] = sum_{k=l}^{l+width-1} alpha[t,k] exp(u[t,l]) / sum_{m=k-width+1}^{k} exp(u[t,m])
/// over visible keys. Chunks are normalised one by one: exact, nothing overflows. Cost `width` exps a pair.
void chunkwise_forward(const Execution& exec, const PairExtents& x, const PairVisibility& visible,
                       std::int64_t width, const float* alpha, const float* u, float* beta);
void chunkwise_backward(const Execution& exec, const PairExtents& x, const PairVisibility& visible,
                        std::int64_t width, const float* alpha, const float* u, const float* d_beta,
                        float* d_alpha, float* d_u);

}  // namespace fovea::kernels
