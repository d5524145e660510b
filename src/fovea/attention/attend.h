#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "fovea/attention/score.h"
#include "fovea/ops/normalise_monotonic.h"

namespace fovea::attention {

using kernels::Visibility;
using ops::PairTerms;

/// What turns scores into weights; kernels/normalise.h and kernels/normalise_monotonic.h have the formulas.
enum class Normaliser { softmax, sparsemax, hardmax, monotonic };
std::string_view name_of(Normaliser normaliser);
/// The normaliser of that name, as recipes have it. Throws Error(usage), naming the nearest, if there is
/// none.
Normaliser normaliser_named(std::string_view name);

/// Luong's local-p: each query looks near a place of its own, which it predicts.
///   weights * exp(-(j - centre)^2 / (2 (reach/2)^2)),  keys further than `reach` from the nearest one hidden
struct LocalCentre {
  Tensor centre;  ///< [N_q], a key's number; local-m has none: it is Visibility::window
  std::int64_t reach = 10;
};

/// Learned vectors for the distance of a key, clipped to +-R, that join keys and values:
///   score(t,j) += scale q[t] . keys[clip(j - i) + R],   context[t] += sum_j w[j] values[clip(j - i) + R]
/// Shapes   keys [2R + 1, E], values [2R + 1, Ev], shared by heads; either may be undefined
/// Source   Shaw, Uszkoreit, Vaswani 2018
struct RelativeVectors {
  Tensor keys, values;

  bool defined() const { return keys.defined() || values.defined(); }
};

/// Whether the weights are handed out beside the context.
enum class WeightsWanted {
  no,
  yes,           ///< to look at: the tiled kernels give them by a second pass
  with_gradient  ///< for a loss on them, such as coverage: always by explicit pairs
};

/// How weights come from scores, and what else is wanted. Defaults are softmax over all keys.
struct AttendOptions {
  Visibility visible = {};                      ///< by position: everything, causal, a window
  std::shared_ptr<const PairTerms> terms = {};  ///< masks, biases, relative positions, sinks, rotary
  float soft_cap = 0.0f;                        ///< scores become cap*tanh(score/cap); 0: off
  Normaliser normaliser = Normaliser::softmax;
  float temperature = 1.0f;  ///< scores are divided by it
  LocalCentre local = {};
  RelativeVectors relative_vectors = {};
  ops::MonotonicOptions monotonic = {};  ///< mode and noise, for Normaliser::monotonic
  Tensor previous = {};                  ///< monotonic, step by step: the weights of the step before
  ops::Dropping dropping = {};           ///< of weights
  WeightsWanted weights = WeightsWanted::no;
  std::string_view place = {};  ///< its name for the recorder
};

/// What serves a call, fastest first.
enum class Kernel {
  tiled_dot,       ///< kernels/attention.h: no [T,S]
  tiled_additive,  ///< kernels/additive_attention.h: no [T,S], nothing of [T,S,D]
  stepwise,        ///< ops/stepwise.h: pairs of one step, gradients of the memory gathered over all
  pairs            ///< scores, then weights, then their sum, each [T,S] in memory
};
std::string_view name_of(Kernel kernel);

/// Which kernel serves a score with these options, and why not a faster one: nothing is silently slow.
struct Serving {
  Kernel kernel = Kernel::pairs;
  std::string why;  ///< "sparsemax is computed from whole rows"; empty for a tiled kernel
};
/// A memory of remember_stepwise() is served stepwise, except for what only tiled dot products do.
Serving serving(const Score& score, const AttendOptions& options);

/// Prepares the side that is looked at.
/// Shapes   k [N_k, D_k], v in a matrix [N_k, .]: the score's kv_heads heads of value_width side by side
Memory remember(const ops::Context& ctx, const Score& score, const PackedHeads& k, const PackedHeads& v,
                std::int64_t value_width, std::shared_ptr<const Sequences> sequences);

/// The same for a recurrent decoder, which asks by one query a sequence and step: on a tape, gradients of
/// keys, values, score vector and the projection of queries are gathered over the steps and computed once
/// (ops/stepwise.h, ops/step_linear.h). A step may ask for the first sequences alone: with the longest
/// targets first, those that are not through. Without a tape it is remember(), but that the projection of
/// queries is packed.
/// Needs    to be made before the first step, on the same tape
Memory remember_stepwise(const ops::Context& ctx, const Score& score, const PackedHeads& k,
                         const PackedHeads& v, std::int64_t value_width,
                         std::shared_ptr<const Sequences> sequences);

struct Attended {
  Tensor context;  ///< [N_q, H * Ev]
  Tensor weights;  ///< if wanted: sequence after sequence [H, T, S], before dropout; else undefined
  Kernel kernel = Kernel::pairs;
};

/// Attention, the one door to all of it:
///   context[t,h] = sum_j w[h,t,j] v[j,h],  w = dropout(normalise(score(q[t], k[j]) + terms) over visible j)
/// Sequence b of `queries` looks at sequence b of the memory. Runs the fastest kernel that serves score and
/// options (`kernel` says which, serving() why).
/// Shapes   q [N_q, D_q] as the score takes it; returns [N_q, H * Ev]
/// Edge     a row that sees nothing: zeros, no gradient
/// Throws   Error naming the shapes in letters if something does not fit; Error(usage) for options that
/// exclude
///          each other (a soft cap, sinks or rotary positions with a score that is no dot product)
Attended attend(const ops::Context& ctx, const Score& score, const PackedHeads& q,
                const std::shared_ptr<const Sequences>& queries, const Memory& memory,
                const AttendOptions& options = {});

/// The same for plain tensors, without scores that learn: q [B,T,H,E], k [B,S,H_kv,E], v [B,S,H_kv,Ev] to
/// [B,T,H,Ev], scaled dot product. H_kv divides H.
Tensor attend(const ops::Context& ctx, const Tensor& q_BTHE, const Tensor& k_BSHE, const Tensor& v_BSHE,
              const AttendOptions& options = {});

}  // namespace fovea::attention
