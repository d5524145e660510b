#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "fovea/nn/layers.h"
#include "fovea/ops/pairs.h"
#include "fovea/ops/step_linear.h"
#include "fovea/ops/stepwise.h"

namespace fovea::attention {

using ops::PackedHeads;
using ops::Sequences;

/// The side that is looked at, prepared once however often it is: keys as the score compares them, and
/// values. remember() and remember_stepwise() in attention/attend.h make it.
struct Memory {
  PackedHeads keys, values;
  std::int64_t value_width = 0;  ///< Ev of a head of values
  std::shared_ptr<const Sequences> sequences;
  Tensor prepared = {};  ///< of additive keys, without a tape: see ops::prepare_additive_keys
  /// For a decoder that goes step by step: the projection of queries, packed once; or none.
  std::shared_ptr<const ops::StepLinear> stepwise_queries = {};
  /// For its training: who gathers gradients over the steps; or none.
  std::shared_ptr<const ops::StepwiseScores> stepwise_scores = {};
  std::shared_ptr<const ops::StepwiseValues> stepwise_values = {};
};

/// How alike a query and a key are: a small type that holds its own tensors. It prepares queries and keys,
/// each once however often they meet, and says in which form they are compared then; attend() has a kernel
/// for each form.
///   dot        s[h,t,j] = scale * q[t,h] . k[j,h]
///   additive   s[h,t,j] = sum_d v[h,d] tanh(q[t,h,d] + k[j,h,d])
///   pairs      whatever pairs() says, pair by pair
/// q and k being queries(q) and keys(k) here.
class Score {
 public:
  enum class Form { dot, additive, pairs };
  virtual ~Score() = default;

  /// Its name in the literature and in recipes.
  virtual std::string_view name() const = 0;
  virtual Form form() const = 0;
  virtual std::int64_t heads() const = 0;  ///< H
  /// Heads of the keys: H, or fewer where query heads share them (form dot).
  virtual std::int64_t kv_heads() const { return heads(); }
  virtual std::int64_t width() const = 0;  ///< E (or D) of a head of what queries() and keys() return

  /// Queries [N_q, .] and keys [N_k, .] as they are compared: heads side by side, each `width()` wide.
  virtual PackedHeads queries(const ops::Context& ctx, const PackedHeads& q) const = 0;
  virtual PackedHeads keys(const ops::Context& ctx, const PackedHeads& k) const = 0;
  /// W, where queries(q) is q W^T and nothing else; else undefined.
  virtual Tensor query_weight() const { return {}; }

  virtual float scale() const { return 1.0f; }                ///< of form dot
  virtual Tensor v(const ops::Context&) const { return {}; }  ///< of form additive: [H, D]
  /// Explicit scores of form pairs, in the layout of `pairs`.
  virtual Tensor pairs(const ops::Context&, const PackedHeads&, const PackedHeads&,
                       const ops::PairsPtr&) const {
    return {};
  }
};

/// H heads of queries beside kv_heads heads of keys, each `width` wide; kv_heads divides H (0: as many as H).
struct ScoreHeads {
  std::int64_t heads = 1;
  std::int64_t kv_heads = 0;
  std::int64_t width = 0;
};

/// s = scale * q.k. Luong et al. 2015 (dot, scale 1); Vaswani et al. 2017 (scaled dot, scale 1/sqrt(E)).
class DotScore : public Score {
 public:
  /// Throws Error(usage) unless kv_heads divides H and the width is above 0.
  explicit DotScore(const ScoreHeads& heads, float scale = 1.0f);
  static DotScore scaled(const ScoreHeads& heads);

  std::string_view name() const override { return scale_ == 1.0f ? "dot" : "scaled_dot"; }
  Form form() const override { return Form::dot; }
  std::int64_t heads() const override { return heads_.heads; }
  std::int64_t kv_heads() const override { return heads_.kv_heads; }
  std::int64_t width() const override { return heads_.width; }
  PackedHeads queries(const ops::Context&, const PackedHeads& q) const override { return q; }
  PackedHeads keys(const ops::Context&, const PackedHeads& k) const override { return k; }
  float scale() const override { return scale_; }

 private:
  ScoreHeads heads_;
  float scale_;
};

/// s[h] = scale * q W_h k_h, bilinear; W [H*E, D_q] maps a whole query to what each head's key is compared
/// with. Source   Luong et al. 2015, "general"
class GeneralScore : public DotScore {
 public:
  GeneralScore(nn::Builder& builder, const std::string& name, std::int64_t query_width,
               const ScoreHeads& heads, float scale = 1.0f);

  std::string_view name() const override { return "general"; }
  PackedHeads queries(const ops::Context& ctx, const PackedHeads& q) const override;
  Tensor query_weight() const override { return W_.weight(); }

 private:
  nn::Linear W_;
};

/// s[h] = sharpness[h] * cos(q[h], k[h]), 0 where either is 0.
/// Source   Graves et al. 2014 (Neural Turing Machines, section 3.3.1)
class CosineScore : public DotScore {
 public:
  /// A sharpness that stays as it is.
  CosineScore(const ScoreHeads& heads, float sharpness);
  /// One learned for each head, beginning at `sharpness`.
  CosineScore(nn::Builder& builder, const std::string& name, const ScoreHeads& heads, float sharpness);

  std::string_view name() const override { return "cosine"; }
  PackedHeads queries(const ops::Context& ctx, const PackedHeads& q) const override;
  PackedHeads keys(const ops::Context& ctx, const PackedHeads& k) const override;

 private:
  nn::Parameter* learned_ = nullptr;
};

struct AdditiveOptions {
  bool bias = true;         ///< inside the tanh
  bool normalised = false;  ///< v = g u/|u|, g learned, as TensorFlow's "normed Bahdanau"
};

/// s[h] = v_h . tanh(W_h q + U_h k + b_h)
/// Shapes   W [H*D, D_q], U [H*D, D_k], b [H*D], v [H, D]
/// Source   Bahdanau et al. 2015, appendix A.1.2; weight normalisation: Salimans and Kingma 2016. Luong's
///          "concat", v . tanh(W [q; k]), is the same with W and U side by side and no bias.
class AdditiveScore : public Score {
 public:
  AdditiveScore(nn::Builder& builder, const std::string& name, std::int64_t query_width,
                std::int64_t key_width, const ScoreHeads& heads, const AdditiveOptions& options = {});

  std::string_view name() const override { return name_; }
  Form form() const override { return Form::additive; }
  std::int64_t heads() const override { return heads_.heads; }
  std::int64_t width() const override { return heads_.width; }
  PackedHeads queries(const ops::Context& ctx, const PackedHeads& q) const override;
  PackedHeads keys(const ops::Context& ctx, const PackedHeads& k) const override;
  Tensor query_weight() const override { return W_.weight(); }
  Tensor v(const ops::Context& ctx) const override;

 protected:
  std::string_view name_ = "additive";

 private:
  ScoreHeads heads_;
  nn::Linear W_, U_;
  nn::Parameter *v_, *gain_ = nullptr;
};

/// Luong's concat: additive without a bias.
class ConcatScore : public AdditiveScore {
 public:
  ConcatScore(nn::Builder& builder, const std::string& name, std::int64_t query_width, std::int64_t key_width,
              const ScoreHeads& heads)
      : AdditiveScore(builder, name, query_width, key_width, heads, {.bias = false}) {
    name_ = "concat";
  }
};

/// Additive attention that also sees where it looked the step before:
///   s_t[j] = v . tanh(W q_t + U k_j + L f_t[j] + b),  f_t = filters * alpha_{t-1}, a convolution over keys
/// One query a sequence and step: memory_after() gives what the next step looks at.
/// Source   Chorowski et al. 2015, section 2.1
class LocationScore : public AdditiveScore {
 public:
  LocationScore(nn::Builder& builder, const std::string& name, std::int64_t query_width,
                std::int64_t key_width, const ScoreHeads& heads, std::int64_t filters = 10,
                std::int64_t filter_width = 201);

  /// The memory as the next step sees it: its keys moved by where `previous` [N_k] looked, the weights of the
  /// step before, of one head. Always from the memory that remember() made. Where `previous` is that of the
  /// first sequences alone, as of a batch that shrinks, so is the memory.
  Memory memory_after(const ops::Context& ctx, const Memory& memory, const Tensor& previous_N) const;

 private:
  std::int64_t filter_width_;
  nn::Linear filters_, L_;
};

}  // namespace fovea::attention
