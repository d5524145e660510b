#pragma once

#include <memory>
#include <string_view>

#include "fovea/kernels/additive_attention.h"
#include "fovea/ops/attention.h"

namespace fovea::ops {

struct AdditiveOptions {
  std::int64_t heads = 1;            ///< H
  std::int64_t width = 0;            ///< D of a head of q, k and v
  std::int64_t value_width = 0;      ///< E of a head of values; scores have none
  kernels::Visibility visible = {};  ///< without a prefix
  Dropping dropping = {};            ///< of the weights
  std::string_view place = {};       ///< its name for the recorder
  Tensor prepared = {};              ///< of prepare_additive_keys for this k, or undefined
};

/// Keys made ready for the calls that read them, as the steps of a decoder do: [N_k, .], to be handed on as
/// AdditiveOptions::prepared. Without gradient; that of k arrives by additive_attention's own k.
Tensor prepare_additive_keys(const Context& ctx, const PackedHeads& k, std::int64_t heads,
                             std::int64_t width);

/// Additive attention over packed sequences.
///   score(t,j) = sum_d v[h,d] tanh(q[t,h,d] + k[j,h,d]),   context[t,h] = sum_j softmax_j(score) value[j,h]
/// Shapes   q in a matrix [N_q, .], k and value in matrices [N_k, .], v [H, D]; sequence b of
///          `queries` looks at sequence b of `keys`. A bias is added to q or k by the caller
/// Returns  context [N_q, H * E]
/// Edge     a row that sees nothing: zeros, no gradient
/// Needs    for gradients: no row in two sequences; keys not picked by index
/// Throws   Error naming the shapes if they disagree
/// Source   Bahdanau, Cho, Bengio 2015, appendix A.1.2
Tensor additive_attention(const Context& ctx, const PackedHeads& q, const PackedHeads& k, const Tensor& v,
                          const PackedHeads& value, std::shared_ptr<const Sequences> queries,
                          std::shared_ptr<const Sequences> keys, const AdditiveOptions& options);

/// The scores alone, for other normalisers: [sum_b H T_b S_b], sequence after sequence, each [H, T_b, S_b];
/// -infinity where hidden, where no gradient is looked at.
Tensor additive_scores(const Context& ctx, const PackedHeads& q, const PackedHeads& k, const Tensor& v,
                       std::shared_ptr<const Sequences> queries, std::shared_ptr<const Sequences> keys,
                       const AdditiveOptions& options);

/// g[h] v[h,:] / |v[h,:]|: v [H, D], g [H]. Gives the score vector of normalised additive attention (with a
/// bias in its tanh).
/// Throws   Error(diverged) if a row of v is zero or not finite
/// Source   Salimans and Kingma 2016, equation (2)
Tensor weight_normalised(const Context& ctx, const Tensor& v_HD, const Tensor& g_H);

}  // namespace fovea::ops
