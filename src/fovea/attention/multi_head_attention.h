#pragma once

#include <memory>
#include <string>

#include "fovea/attention/attend.h"

namespace fovea::attention {

struct MultiHeadOptions {
  std::int64_t width = 0;        ///< D of queries and of the output
  std::int64_t heads = 1;        ///< H, divides D: heads are E = D/H wide
  std::int64_t kv_heads = 0;     ///< heads of keys and values, divides H; 0: H. 1 is multi-query
  std::int64_t key_input = 0;    ///< width of what keys are made from; 0: D
  std::int64_t value_input = 0;  ///< width of what values are made from; 0: D
  bool bias = true;
  float dropout = 0.0f;  ///< of weights, in training
};

/// Multi-head attention as a module of its own:
///   out = concat_h attend(q W_q,h, k W_k,h, v W_v,h) W_o + b_o
/// Shapes   q [N_q, D], k [N_k, key_input], v [N_k, value_input], packed; returns [N_q, D]
/// On disk  the parameters of torch.nn.MultiheadAttention, by its names: in_proj_weight [D + 2 D_kv, D] (or
///          q_proj_weight, k_proj_weight, v_proj_weight where inputs differ in width), in_proj_bias,
///          out_proj.weight, out_proj.bias; D_kv = kv_heads * E. The same weights give the same numbers.
/// Source   Vaswani et al. 2017, section 3.2.2; shared key heads: Shazeer 2019, Ainslie et al. 2023
class MultiHeadAttention {
 public:
  /// Throws Error(usage) unless H divides D and kv_heads divides H.
  MultiHeadAttention(nn::Builder& builder, const std::string& name, const MultiHeadOptions& options);

  /// `how` chooses masks, positions, normaliser and so on; its dropout is the module's.
  Attended operator()(const ops::Context& ctx, const Tensor& q, const Tensor& k, const Tensor& v,
                      const std::shared_ptr<const Sequences>& queries,
                      const std::shared_ptr<const Sequences>& keys, AttendOptions how = {}) const;

 private:
  struct Projected {
    PackedHeads q, k, v;
  };
  Projected project(const ops::Context& ctx, const Tensor& q, const Tensor& k, const Tensor& v) const;
  Tensor project_rows(const ops::Context& ctx, const Tensor& x, std::int64_t begin, std::int64_t end) const;

  MultiHeadOptions options_;
  std::int64_t key_columns_;  ///< kv_heads * E
  DotScore score_;
  ops::Dropping dropping_;
  nn::Parameter* packed_ = nullptr;                           ///< [D + 2 D_kv, D], or
  nn::Parameter *q_ = nullptr, *k_ = nullptr, *v_ = nullptr;  ///< apart
  nn::Parameter* bias_ = nullptr;                             ///< [D + 2 D_kv]
  nn::Linear out_;
};

}  // namespace fovea::attention
