#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "fovea/nn/layers.h"
#include "fovea/ops/attention.h"

namespace fovea::attention {

/// Pooling: one vector, or a few, for each sequence of a packed batch, by attention with a learned query.
/// Sequences have to cover every row; an empty one gives zeros. Weights go to the recorder at `place`.

/// Attention over words (hierarchical attention networks), the additive form.
///   u_t = tanh(W h_t + b);  alpha = softmax_t(u_t . u_w);  s = sum_t alpha_t h_t
/// Shapes       h [N, D] -> [B, D]
/// Parameters   NAME.projection [A, D], NAME.query [1, A]
/// Source       Yang et al. 2016, equations (5) to (7)
class WordAttention {
 public:
  WordAttention(nn::Builder& builder, const std::string& name, std::int64_t width, std::int64_t inner);
  Tensor operator()(const ops::Context& ctx, const Tensor& h_ND,
                    const std::shared_ptr<const ops::Sequences>& sequences,
                    std::string_view place = {}) const;

 private:
  friend class StatisticsPooling;
  /// The queries and keys that weigh words: they can mix any values.
  struct Weighing {
    Tensor query, keys;
  };
  Weighing weigh(const ops::Context& ctx, const Tensor& h, std::int64_t B) const;
  Tensor mix(const ops::Context& ctx, const Weighing& weighing, const Tensor& values,
             const std::shared_ptr<const ops::Sequences>& sequences, std::string_view place) const;

  std::int64_t width_, inner_;
  nn::Linear projection_;
  nn::Parameter* query_;
};

/// Attentive statistics: the weighted mean and deviation of each column, for speakers and styles.
///   mean = sum_t alpha_t h_t;  deviation = sqrt(sum_t alpha_t (h_t - mean)^2);  alpha as WordAttention's
/// Source       Okabe, Koshinaka, Shinoda 2018, equations (1) to (6); summed around the mean, not as
///              sum alpha h^2 - mean^2, which cancels
class StatisticsPooling {
 public:
  struct Result {
    Tensor mean, deviation;  ///< [B, D]; the deviation of an empty sequence is at ops::root's floor
  };
  StatisticsPooling(nn::Builder& builder, const std::string& name, std::int64_t width, std::int64_t inner)
      : attention_(builder, name, width, inner) {}
  Result operator()(const ops::Context& ctx, const Tensor& h_ND,
                    const std::shared_ptr<const ops::Sequences>& sequences,
                    std::string_view place = {}) const;

 private:
  WordAttention attention_;
};

struct QueryPoolingShape {
  std::int64_t width = 0;    ///< D
  std::int64_t heads = 1;    ///< H, divides D
  std::int64_t queries = 1;  ///< M: vectors a sequence
};

/// M learned queries look at each sequence by multi-head dot product attention.
///   out[b,m] = concat_h(softmax_t(q_m,h . k_t,h / sqrt(E)) v_t,h) W_o,  k = h W_k, v = h W_v, E = D/H
/// Shapes       h [N, D] -> [B*M, D], the vectors of a sequence one after another
/// Parameters   NAME.query [M, D], NAME.k_proj, NAME.v_proj, NAME.out_proj [D, D]
/// Source       Lee et al. 2019 (pooling by multi-head attention, section 3.2, without its feed-forward part)
class QueryPooling {
 public:
  QueryPooling(nn::Builder& builder, const std::string& name, const QueryPoolingShape& shape);
  Tensor operator()(const ops::Context& ctx, const Tensor& h_ND,
                    const std::shared_ptr<const ops::Sequences>& sequences,
                    std::string_view place = {}) const;

 private:
  QueryPoolingShape shape_;
  nn::Parameter* query_;
  nn::Linear kv_, out_;
};

}  // namespace fovea::attention
