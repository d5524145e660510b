#pragma once

#include "fovea/kernels/normalise.h"
#include "fovea/ops/pairs.h"

namespace fovea::ops {

using kernels::Normaliser;

/// Which pairs see each other; kernels/pairs_visibility.h has the rules. What is empty admits all.
struct VisiblePairs {
  kernels::RowAlignment alignment = kernels::RowAlignment::end;
  bool causal = false;
  std::int64_t left = -1, right = -1;  ///< window, keys before and after; below 0: unbounded
  std::vector<std::int64_t> prefix;    ///< [sequences] keys that every query sees
  Tensor centre;                       ///< [N_q] or [N_q, H]: keys within `reach` of the nearest key alone
  std::int64_t reach = 0;
  std::vector<std::uint8_t>
      mask;  ///< not 0 = visible; over the pairs, or one [T_b, S_b] for all heads of each

  /// What kernels ask for; points into this. Throws Error(bug) if a size does not fit the pairs.
  kernels::PairVisibility of(const Pairs& pairs) const;
};

struct NormaliseOptions {
  Normaliser normaliser = Normaliser::softmax;
  float temperature = 1.0f;
  std::shared_ptr<const VisiblePairs> mask{};  ///< none: all keys are visible
};

/// weights = normaliser(scores / temperature) over each row's visible keys; hidden pairs and rows that see
/// nothing are 0 and get no gradient. Formulas and sources: kernels/normalise.h.
/// Shapes   pairs to pairs
Tensor normalise(const Context& ctx, const Tensor& scores, const PairsPtr& pairs,
                 const NormaliseOptions& options);

/// entropy[t,h] = - sum_j w[h,t,j] ln w[h,t,j], in nats; [N_q, H], 0 in rows of no sequence. An exact 0 gets
/// no gradient.
Tensor row_entropy(const Context& ctx, const Tensor& weights, const PairsPtr& pairs);

}  // namespace fovea::ops
