#pragma once

#include <vector>

#include "fovea/kernels/activation.h"
#include "fovea/ops/pairs.h"

namespace fovea::ops {

/// A layer of a match network after the first.
struct MatchLayer {
  Tensor W;  ///< [out, in]
  Tensor b;  ///< [out], or undefined
};

struct MatchOptions {
  kernels::Activation activation = kernels::Activation::tanh;
  std::int64_t rows = 1024;  ///< pairs at a time: bounds memory, changes no bit of the scores
};

/// Feed-forward match of any depth, a network that reads each pair ("learned match"):
///   score[:,t,j] = W_L act( ... act(W_2 act(a_q[t] + a_k[j]) + b_2) ... ) + b_L
/// The first layer is split: W_1 [q; k] + b_1 = W_q q + (W_k k + b_1) = a_q + a_k, two linear() calls before
/// this one, so nothing as wide as q and k together is built for a pair. The last layer has one output a
/// head. Shapes   a_q [N_q, D]; a_k [N_k, D]; layers[0].W [D_2, D], ..., the last W [H, D_L]; returns pairs
/// Grads    to a_q, a_k and the layers; hidden activations are computed again, chunk by chunk
/// Cost     the layers' multiply-adds a pair (backward three times that); memory `rows` * (all widths)
/// numbers, twice Throws   Error naming the shapes if layers do not fit one another, a_q or H; if there are
/// none Source   Bahdanau et al. 2015, appendix A.1.2 (their alignment model is the case of one layer here)
Tensor match_scores(const Context& ctx, const Tensor& a_q, const Tensor& a_k,
                    const std::vector<MatchLayer>& layers, const PairsPtr& pairs,
                    const MatchOptions& options = {});

}  // namespace fovea::ops
