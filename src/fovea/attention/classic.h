#pragma once

#include <memory>
#include <string>

#include "fovea/attention/attend.h"

namespace fovea::attention {

/// Bahdanau's attention: an additive score, a softmax, the sum of the values.
/// Shapes   queries [N_q, D_q]; keys and values are the same rows [N_k, D_k]; context [N_q, D_k]
/// Source   Bahdanau, Cho, Bengio 2015
class AdditiveAttention {
 public:
  AdditiveAttention(nn::Builder& builder, const std::string& name, std::int64_t query_width,
                    std::int64_t key_width, std::int64_t attention_width, const AdditiveOptions& options = {})
      : score_(builder, name, query_width, key_width, {.heads = 1, .width = attention_width}, options) {}

  /// The sentence that is looked at: prepared once, however many steps a decoder takes.
  Memory remember(const ops::Context& ctx, const Tensor& memory_ND,
                  std::shared_ptr<const Sequences> sequences) const {
    return attention::remember(ctx, score_, {memory_ND}, {memory_ND}, memory_ND.dim(1), std::move(sequences));
  }
  Attended operator()(const ops::Context& ctx, const Tensor& q_ND,
                      const std::shared_ptr<const Sequences>& queries, const Memory& memory,
                      const AttendOptions& how = {}) const {
    return attend(ctx, score_, {q_ND}, queries, memory, how);
  }
  const AdditiveScore& score() const { return score_; }

 private:
  AdditiveScore score_;
};

/// Luong's attention, with the state that follows from it:
///   attentional state = tanh(W_c [context; query])
/// Shapes   queries [N_q, D_q], memory [N_k, D_k]; result [N_q, D_q]
/// Source   Luong, Pham, Manning 2015, equation (5); scores dot (D_q = D_k), general, concat
class LuongAttention {
 public:
  enum class ScoreKind { dot, general, concat };

  LuongAttention(nn::Builder& builder, const std::string& name, ScoreKind kind, std::int64_t query_width,
                 std::int64_t key_width);

  Memory remember(const ops::Context& ctx, const Tensor& memory_ND,
                  std::shared_ptr<const Sequences> sequences) const {
    return attention::remember(ctx, *score_, {memory_ND}, {memory_ND}, memory_ND.dim(1),
                               std::move(sequences));
  }
  struct Result {
    Tensor state;  ///< [N_q, D_q]
    Attended attended;
  };
  Result operator()(const ops::Context& ctx, const Tensor& q_ND,
                    const std::shared_ptr<const Sequences>& queries, const Memory& memory,
                    const AttendOptions& how = {}) const;
  const Score& score() const { return *score_; }

 private:
  std::shared_ptr<const Score> score_;
  nn::Linear from_context_, from_query_;
};

}  // namespace fovea::attention
