#pragma once

#include <cstdint>

#include "fovea/kernels/pairs.h"
#include "fovea/kernels/pairs_visibility.h"

namespace fovea::kernels {

/// What turns a row of scores x into weights over its visible keys, with z = x / temperature.
///   softmax    w = exp(z) / sum exp(z)
///   sparsemax  the point of the simplex nearest to z: w = max(0, z - tau), tau such that they sum to 1.
///              Exact zeros. Martins and Astudillo 2016
///   hardmax    1 at the largest z (the first of equals), 0 elsewhere. Its gradient is softmax's, taken at z
///              (straight-through, as Jang et al. 2017 have it): the true one is zero everywhere, with which
///              queries and keys would never learn. Who wants zero detaches the scores.
/// A score of -infinity is as good as hidden; a NaN that is seen gives NaN (hardmax passes over it unless
/// there is nothing else).
enum class Normaliser : std::uint8_t { softmax, sparsemax, hardmax };

struct NormaliseExtents {
  PairExtents pairs;
  PairVisibility visible;
  Normaliser normaliser = Normaliser::softmax;
  float temperature = 1.0f;  ///< above 0
};

/// weights of every row: over its visible keys as above, 0 at the others; a row that sees nothing is 0.
/// Hidden scores are never read into arithmetic. In place allowed. Throws Error(bug) unless temperature > 0.
/// Cost about 3 passes over a row (sparsemax 3 to 8), memory 4 S floats a worker (slot 4 of the workspace).
void normalise_forward(const Execution& exec, const NormaliseExtents& x, const float* scores, float* weights);

/// d_scores = (d weights / d scores)^T d_weights, 0 at hidden keys. Reads `weights` as forward left them and
/// (hardmax alone) `scores`. d_scores may equal d_weights.
///   softmax (w (g - w.g)) / temperature;  sparsemax (g - mean of g over the support) / temperature, there
void normalise_backward(const Execution& exec, const NormaliseExtents& x, const float* scores,
                        const float* weights, const float* d_weights, float* d_scores);

/// entropy[t,h] = - sum_j w ln w in nats, w = 0 counting 0; [N_q, H], rows of no sequence are left alone.
void row_entropy(const Execution& exec, const PairExtents& x, const float* weights, float* entropy);

/// d_weights = -(1 + ln w) d_entropy, 0 where w is 0.
void row_entropy_backward(const Execution& exec, const PairExtents& x, const float* weights,
                          const float* d_entropy, float* d_weights);

}  // namespace fovea::kernels
