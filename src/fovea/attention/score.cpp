#include "fovea/attention/score.h"

#include <cmath>

#include "fovea/ops/additive_attention.h"
#include "fovea/ops/norm.h"
#include "fovea/ops/rows.h"
#include "fovea/ops/unfold.h"
#include "fovea/ops/unit_heads.h"

namespace fovea::attention {
namespace {

ScoreHeads checked(ScoreHeads heads, std::string_view score) {
  if (heads.kv_heads == 0) heads.kv_heads = heads.heads;
  if (heads.heads < 1 || heads.width < 1)
    throw Error(Error::Kind::usage, score,
                "H = " + std::to_string(heads.heads) + " heads of width E = " + std::to_string(heads.width));
  if (heads.kv_heads < 1 || heads.heads % heads.kv_heads != 0)
    throw Error(
        Error::Kind::usage, score,
        std::to_string(heads.kv_heads) + " key heads do not divide H = " + std::to_string(heads.heads));
  return heads;
}

// Scores with a projection of their own read whole rows.
const Tensor& whole_rows(const PackedHeads& operand, std::string_view score) {
  if (operand.first != 0)
    throw Error(Error::Kind::bug, score,
                "projects whole rows, but was given columns from " + std::to_string(operand.first));
  return operand.matrix;
}

nn::Bias bias_if(bool with) { return with ? nn::Bias::with : nn::Bias::without; }

}  // namespace

DotScore::DotScore(const ScoreHeads& heads, float scale)
    : heads_(checked(heads, "dot score")), scale_(scale) {}

DotScore DotScore::scaled(const ScoreHeads& heads) {
  return DotScore(heads, 1.0f / std::sqrt(static_cast<float>(heads.width)));
}

GeneralScore::GeneralScore(nn::Builder& builder, const std::string& name, std::int64_t query_width,
                           const ScoreHeads& heads, float scale)
    : DotScore(heads, scale),
      W_(builder, name + ".W", query_width, heads.heads * heads.width, nn::Bias::without) {}

PackedHeads GeneralScore::queries(const ops::Context& ctx, const PackedHeads& q) const {
  return {W_(ctx, whole_rows(q, name()))};
}

CosineScore::CosineScore(const ScoreHeads& heads, float sharpness) : DotScore(heads, sharpness) {}

CosineScore::CosineScore(nn::Builder& builder, const std::string& name, const ScoreHeads& heads,
                         float sharpness)
    : DotScore(heads),
      learned_(
          builder.parameters().add(name + ".sharpness", {heads.heads},
                                   {nn::Initial::Kind::values, 0.0f,
                                    std::vector<float>(static_cast<std::size_t>(heads.heads), sharpness)})) {}

PackedHeads CosineScore::queries(const ops::Context& ctx, const PackedHeads& q) const {
  return {ops::unit_heads(ctx, whole_rows(q, name()), heads(), learned_ ? learned_->value : Tensor())};
}

PackedHeads CosineScore::keys(const ops::Context& ctx, const PackedHeads& k) const {
  return {ops::unit_heads(ctx, whole_rows(k, name()), kv_heads())};
}

AdditiveScore::AdditiveScore(nn::Builder& builder, const std::string& name, std::int64_t query_width,
                             std::int64_t key_width, const ScoreHeads& heads, const AdditiveOptions& options)
    : heads_(checked(heads, "additive score")),
      W_(builder, name + ".W", query_width, heads.heads * heads.width, nn::Bias::without),
      U_(builder, name + ".U", key_width, heads.heads * heads.width, bias_if(options.bias)),
      v_(builder.parameters().add(name + ".v", {heads.heads, heads.width},
                                  nn::Initial::xavier(heads.width, 1))) {
  if (heads_.kv_heads != heads_.heads)
    throw Error(Error::Kind::usage, "additive score", "has no shared key heads: kv_heads must be H");
  if (options.normalised)  // begins at 1/sqrt(D), as in TensorFlow
    gain_ = builder.parameters().add(name + ".g", {heads.heads},
                                     {nn::Initial::Kind::values, 0.0f,
                                      std::vector<float>(static_cast<std::size_t>(heads.heads),
                                                         1.0f / std::sqrt(static_cast<float>(heads.width)))});
}

PackedHeads AdditiveScore::queries(const ops::Context& ctx, const PackedHeads& q) const {
  return {W_(ctx, whole_rows(q, name()))};
}

PackedHeads AdditiveScore::keys(const ops::Context& ctx, const PackedHeads& k) const {
  return {U_(ctx, whole_rows(k, name()))};
}

Tensor AdditiveScore::v(const ops::Context& ctx) const {
  if (!gain_) return v_->value;
  return ops::weight_normalised(ctx, v_->value, gain_->value);
}

LocationScore::LocationScore(nn::Builder& builder, const std::string& name, std::int64_t query_width,
                             std::int64_t key_width, const ScoreHeads& heads, std::int64_t filters,
                             std::int64_t filter_width)
    : AdditiveScore(builder, name, query_width, key_width, heads),
      filter_width_(filter_width),
      filters_(builder, name + ".filters", filter_width, filters, nn::Bias::without),
      L_(builder, name + ".L", filters, heads.heads * heads.width, nn::Bias::without) {
  name_ = "location";
}

Memory LocationScore::memory_after(const ops::Context& ctx, const Memory& memory,
                                   const Tensor& previous_N) const {
  Memory moved = memory;
  Tensor keys = memory.keys.matrix;
  if (const std::int64_t rows = previous_N.elements(); rows < keys.dim(0)) {
    const auto& counts = memory.sequences->count;
    std::int64_t sequences = 0, covered = 0;
    while (covered < rows) covered += counts[static_cast<std::size_t>(sequences++)];
    moved.sequences = memory.sequences->first(sequences);
    keys = ops::rows(ctx, keys, 0, rows);
  }
  const Tensor features = filters_(ctx, ops::unfold(ctx, previous_N, moved.sequences, filter_width_));
  moved.keys = {ops::add_residual(ctx, L_(ctx, features), keys)};
  moved.prepared = {};  // these were of the keys before
  moved.stepwise_scores = {};
  return moved;
}

}  // namespace fovea::attention
