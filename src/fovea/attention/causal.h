#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "fovea/attention/cache.h"
#include "fovea/ops/attention.h"

namespace fovea::attention {

using ops::Sequences;

/// Heads of causal self-attention within one matrix [N, (H + 2 H_kv) E]: queries, keys, values.
struct CausalHeads {
  std::int64_t heads = 1;     ///< H
  std::int64_t kv_heads = 1;  ///< H_kv, divides H; key head j serves queries j H/H_kv .. (j + 1) H/H_kv - 1
  std::int64_t width = 0;     ///< E
  std::int64_t window = 0;    ///< a token sees so many, itself counted; 0: all before it
  float scale = 0.0f;         ///< 0: 1/sqrt(E)
  float dropout = 0.0f;       ///< of weights, in training
  std::uint32_t site = 0;     ///< of that dropout

  std::int64_t columns() const { return (heads + 2 * kv_heads) * width; }
  /// What a cache of these heads holds.
  CacheOptions cache() const;
};

/// One pass of tokens through the layers of a decoder: which rows belong to whom, where they stand, and what
/// came before them. Two kinds, one definition of the model for both:
///   whole     sequences from their first token, nothing kept: training, scoring, looking
///   cached    the newest tokens of sequences, one or many each, after those in the caches, which take them
///   in
class CausalPass {
 public:
  explicit CausalPass(std::shared_ptr<const Sequences> tokens);
  /// `caches`: one a layer, all of the same lengths; `tokens` has as many sequences as they. They must
  /// outlive this.
  CausalPass(std::span<KeyValueCache> caches, std::shared_ptr<const Sequences> tokens);

  /// One token more for each sequence. All go by way of the caches, those without a past, too: what is beside
  /// a sequence does not decide how its own is computed.
  static CausalPass step(std::span<KeyValueCache> caches);

  std::int64_t rows() const { return static_cast<std::int64_t>(position_.size()); }
  /// Of each row in its sequence, from 0.
  const std::vector<std::int32_t>& position() const { return position_; }

  /// context[t,h] = sum_j softmax_j(scale q[t,h] . k[j,h/G]) v[j,h/G], j over what t may see; G = H/H_kv.
  /// Shapes   qkv [N, (H + 2 H_kv) E] -> [N, H E]
  /// Cached, the keys and values are appended to the cache of `layer`.
  Tensor attend(const ops::Context& ctx, std::size_t layer, const Tensor& qkv, const CausalHeads& heads,
                std::string_view place) const;

 private:
  std::shared_ptr<const Sequences> tokens_;
  std::span<KeyValueCache> caches_;
  bool fresh_ = true;  // no sequence with tokens in this pass has a past
  std::vector<std::int32_t> position_;
};

}  // namespace fovea::attention
