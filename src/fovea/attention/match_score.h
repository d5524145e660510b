#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fovea/attention/score.h"
#include "fovea/ops/match.h"

namespace fovea::attention {

struct MatchScoreOptions {
  std::vector<std::int64_t> hidden = {128};  ///< widths of the hidden layers, at least one
  kernels::Activation activation = kernels::Activation::tanh;
};

/// A network that reads each pair and says how well it fits ("learned match"), any depth:
///   s[:,t,j] = W_L act(... act(W_1 [q_t; k_j] + b_1) ...) + b_L
/// Shapes   the last layer has H outputs, one a head
/// Cost     the layers after the first for each pair: by explicit pairs, in chunks of bounded memory
/// Source   Bahdanau et al. 2015, appendix A.1.2, whose alignment model is one hidden layer and a vector
class MatchScore : public Score {
 public:
  MatchScore(nn::Builder& builder, const std::string& name, std::int64_t query_width, std::int64_t key_width,
             std::int64_t heads, const MatchScoreOptions& options = {});

  std::string_view name() const override { return "match"; }
  Form form() const override { return Form::pairs; }
  std::int64_t heads() const override { return heads_; }
  std::int64_t width() const override { return width_; }
  PackedHeads queries(const ops::Context& ctx, const PackedHeads& q) const override;
  Tensor query_weight() const override { return from_query_.weight(); }
  PackedHeads keys(const ops::Context& ctx, const PackedHeads& k) const override;
  Tensor pairs(const ops::Context& ctx, const PackedHeads& q, const PackedHeads& k,
               const ops::PairsPtr& pairs) const override;

 private:
  struct Layer {
    nn::Parameter *weight, *bias;
  };
  std::int64_t heads_, width_;
  kernels::Activation activation_;
  nn::Linear from_query_, from_key_;  // the first layer, split
  std::vector<Layer> layers_;
};

/// A score of one's own: a differentiable function of queries and keys that returns pairs (ops::PairScore).
/// The slow path, for anything that has no name yet.
class CustomScore : public Score {
 public:
  CustomScore(std::string name, std::int64_t heads, ops::PairScore function)
      : name_(std::move(name)), heads_(heads), function_(std::move(function)) {}

  std::string_view name() const override { return name_; }
  Form form() const override { return Form::pairs; }
  std::int64_t heads() const override { return heads_; }
  std::int64_t width() const override { return 0; }
  PackedHeads queries(const ops::Context&, const PackedHeads& q) const override { return q; }
  PackedHeads keys(const ops::Context&, const PackedHeads& k) const override { return k; }
  Tensor pairs(const ops::Context& ctx, const PackedHeads& q, const PackedHeads& k,
               const ops::PairsPtr& pairs) const override {
    return function_(ctx, q.matrix, k.matrix, pairs);
  }

 private:
  std::string name_;
  std::int64_t heads_;
  ops::PairScore function_;
};

/// What a score is called in a recipe, and what it needs to be made.
struct ScoreRequest {
  std::string name = "scaled_dot";  ///< one of score_names()
  std::int64_t query_width = 0;     ///< D_q
  std::int64_t key_width = 0;       ///< D_k
  std::int64_t heads = 1;           ///< H
  std::int64_t width = 0;           ///< hidden width of additive, concat, location and match; 0: D_k
  std::int64_t layers = 1;          ///< hidden layers of match
  /// dot and general: times 1/sqrt(E) of a head. Whoever learns the map of queries or keys with Adam wants
  /// that: its steps are of one size for each weight, so one of 0.0015 moves q W k of 256 by 512 units by 17.
  bool scaled = false;
};

/// dot, scaled_dot, general, cosine, additive, additive_normalised, concat, location, match.
const std::vector<std::string>& score_names();

/// The score of that name with its parameters under `prefix`. Throws Error(usage): an unknown name (naming
/// the nearest), or widths that do not fit: dot, scaled_dot and cosine compare queries and keys as they are.
std::shared_ptr<const Score> make_score(nn::Builder& builder, const std::string& prefix,
                                        const ScoreRequest& request);

}  // namespace fovea::attention
