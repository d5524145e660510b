#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/attention/cache.h"
#include "fovea/kernels/beam_attention.h"
#include "fovea/nn/layers.h"
#include "fovea/ops/attention.h"

namespace fovea::attention {

using ops::Sequences;

/// Widths of multi-head attention: H heads, queries and keys E_k wide, values E_v wide, model D wide.
/// In the paper E_k = E_v = D/H; here they are free.
struct HeadShape {
  std::int64_t width = 0;        ///< D
  std::int64_t heads = 1;        ///< H
  std::int64_t key_width = 0;    ///< E_k
  std::int64_t value_width = 0;  ///< E_v
};

/// How a family of models differs from the usual: what its tensors are called, whether products have biases,
/// and what scores are multiplied by.
struct HeadForm {
  float scale = 0.0f;  ///< 0: 1/sqrt(E_k); T5: 1
  nn::Bias bias = nn::Bias::with;
  std::string_view q = ".q_proj", k = ".k_proj", v = ".v_proj", out = ".out_proj";
};

/// Queries, keys and values from the same rows, by one product.
///   context = concat_h attend(x W_q,h, x W_k,h, x W_v,h);  out = context W_o
/// Shapes   x [N, D] -> [N, D]
/// Source   Vaswani et al. 2017, section 3.2.2
class SelfAttention {
 public:
  SelfAttention(nn::Builder& builder, const std::string& name, const HeadShape& shape, float dropout,
                const HeadForm& form = {});

  /// Over whole sequences; causal: a token sees itself and what came before. `terms`: biases of scores, or
  /// none.
  Tensor operator()(const ops::Context& ctx, const Tensor& x_ND,
                    const std::shared_ptr<const Sequences>& sequences, bool causal, std::string_view place,
                    const std::shared_ptr<const ops::PairTerms>& terms = {}) const;

  /// Columns of a token in a HypothesisCache: its key and its value.
  std::int64_t cache_width() const { return shape_.heads * (shape_.key_width + shape_.value_width); }

  /// What the rows of a step look back at.
  struct Past {
    std::int64_t rows = 0;               ///< N
    const std::int32_t* slot = nullptr;  ///< [N] row of the cache that the key and value of each become
    const std::int64_t *start = nullptr, *count = nullptr;  ///< [N] of its past in `slots`, itself included
    const std::int32_t* slots = nullptr;                    ///< rows of the cache
    const std::int64_t *number = nullptr, *one = nullptr;   ///< [N] 0, 1, 2, ... and 1, 1, 1, ...
    /// [H, distances] added to scores by how far a key lies behind, from 0 on; or none.
    const float* distance_bias = nullptr;
    std::int64_t distances = 0;
  };
  /// One new token a row: x [N, D] -> out [N, D]. Its key and value are cached, then it looks at its past.
  /// `wide` has room for q, k and v of N rows, `context` for their values. Nothing is recorded but for a
  /// recorder.
  void step(const ops::Context& ctx, const float* x, const HypothesisCache& cache, const Past& past,
            float* wide, float* context, float* out, std::string_view place) const;

 private:
  ops::AttentionOptions options(bool causal, std::string_view place) const;

  HeadShape shape_;
  float scale_;
  ops::Dropping dropping_;
  nn::Linear qkv_, out_;
};

/// Queries from one side, keys and values from the other's memory.
/// Shapes   x [N, D], memory [M, D] -> [N, D]
class CrossAttention {
 public:
  CrossAttention(nn::Builder& builder, const std::string& name, const HeadShape& shape, float dropout,
                 const HeadForm& form = {});

  /// Keys and values of the memory, [M, H*(E_k + E_v)]: made once a sentence, looked at by every step.
  Tensor keys_values(const ops::Context& ctx, const Tensor& memory_MD) const { return kv_(ctx, memory_MD); }

  Tensor operator()(const ops::Context& ctx, const Tensor& x_ND, const Tensor& keys_values,
                    const std::shared_ptr<const Sequences>& queries,
                    const std::shared_ptr<const Sequences>& memory, std::string_view place) const;

  /// One query a row: x [N, D] -> out [N, D]. Neighbours that look at one sentence do so together.
  void step(const ops::Context& ctx, std::int64_t N, const float* x,
            std::span<const kernels::BeamQueries> sentences, float* wide, float* context, float* out,
            std::string_view place) const;

 private:
  HeadShape shape_;
  float scale_;
  ops::Dropping dropping_;
  nn::Linear q_, kv_, out_;
};

}  // namespace fovea::attention
