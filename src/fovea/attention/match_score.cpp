#include "fovea/attention/match_score.h"

#include <cmath>

#include <algorithm>

#include "fovea/base/nearest.h"

namespace fovea::attention {

MatchScore::MatchScore(nn::Builder& builder, const std::string& name, std::int64_t query_width,
                       std::int64_t key_width, std::int64_t heads, const MatchScoreOptions& options)
    : heads_(heads),
      width_(options.hidden.empty() ? 0 : options.hidden.front()),
      activation_(options.activation),
      from_query_(builder, name + ".layers.0.query", query_width, width_, nn::Bias::without),
      from_key_(builder, name + ".layers.0.key", key_width, width_) {
  if (heads < 1 || options.hidden.empty() || *std::ranges::min_element(options.hidden) < 1)
    throw Error(Error::Kind::usage, "match score",
                "needs H >= 1 heads and hidden layers of at least one unit");
  for (std::size_t i = 0; i < options.hidden.size(); ++i) {
    const std::int64_t in = options.hidden[i],
                       out = i + 1 < options.hidden.size() ? options.hidden[i + 1] : heads;
    const std::string layer = name + ".layers." + std::to_string(i + 1);
    layers_.push_back({builder.parameters().add(layer + ".weight", {out, in}, nn::Initial::xavier(in, out)),
                       builder.parameters().add(layer + ".bias", {out}, nn::Initial::zeros())});
  }
}

PackedHeads MatchScore::queries(const ops::Context& ctx, const PackedHeads& q) const {
  return {from_query_(ctx, q.matrix)};
}

PackedHeads MatchScore::keys(const ops::Context& ctx, const PackedHeads& k) const {
  return {from_key_(ctx, k.matrix)};
}

Tensor MatchScore::pairs(const ops::Context& ctx, const PackedHeads& q, const PackedHeads& k,
                         const ops::PairsPtr& pairs) const {
  std::vector<ops::MatchLayer> layers;
  for (const Layer& layer : layers_) layers.push_back({layer.weight->value, layer.bias->value});
  return ops::match_scores(ctx, q.matrix, k.matrix, layers, pairs, {.activation = activation_});
}

const std::vector<std::string>& score_names() {
  static const std::vector<std::string> names{"dot",    "scaled_dot", "general",
                                              "cosine", "additive",   "additive_normalised",
                                              "concat", "location",   "match"};
  return names;
}

namespace {

[[noreturn]] void unknown(const std::string& name) {
  std::string known;
  for (const auto& each : score_names()) known += (known.empty() ? "" : ", ") + each;
  const std::string_view near = nearest(name, score_names());
  throw Error(Error::Kind::usage, "score", "'" + name + "' is none of " + known,
              near.empty() ? "" : "did you mean " + std::string(near) + "?");
}

// Heads that compare queries and keys as they are.
ScoreHeads same_width(const ScoreRequest& request) {
  if (request.query_width != request.key_width || request.heads < 1 || request.key_width % request.heads != 0)
    throw Error(Error::Kind::usage, request.name + " score",
                "queries " + std::to_string(request.query_width) + " wide, keys " +
                    std::to_string(request.key_width) + ", H = " + std::to_string(request.heads),
                "one width that the heads divide, or the general score");
  return {request.heads, request.heads, request.key_width / request.heads};
}

}  // namespace

std::shared_ptr<const Score> make_score(nn::Builder& builder, const std::string& prefix,
                                        const ScoreRequest& request) {
  const std::string& name = request.name;
  const std::int64_t Dq = request.query_width, Dk = request.key_width, H = request.heads;
  const ScoreHeads hidden{H, H, request.width > 0 ? request.width : Dk};
  if (name == "dot" && !request.scaled) return std::make_shared<DotScore>(same_width(request));
  if (name == "dot" || name == "scaled_dot")
    return std::make_shared<DotScore>(DotScore::scaled(same_width(request)));
  if (name == "general") {
    ScoreRequest keys = request;
    keys.query_width = Dk;
    const ScoreHeads heads = same_width(keys);
    const float scale = request.scaled ? 1.0f / std::sqrt(static_cast<float>(heads.width)) : 1.0f;
    return std::make_shared<GeneralScore>(builder, prefix, Dq, heads, scale);
  }
  if (name == "cosine") return std::make_shared<CosineScore>(builder, prefix, same_width(request), 10.0f);
  if (name == "additive") return std::make_shared<AdditiveScore>(builder, prefix, Dq, Dk, hidden);
  if (name == "additive_normalised")
    return std::make_shared<AdditiveScore>(builder, prefix, Dq, Dk, hidden,
                                           AdditiveOptions{.normalised = true});
  if (name == "concat") return std::make_shared<ConcatScore>(builder, prefix, Dq, Dk, hidden);
  if (name == "location") return std::make_shared<LocationScore>(builder, prefix, Dq, Dk, hidden);
  if (name == "match")
    return std::make_shared<MatchScore>(
        builder, prefix, Dq, Dk, H,
        MatchScoreOptions{std::vector<std::int64_t>(
            static_cast<std::size_t>(std::max<std::int64_t>(1, request.layers)), hidden.width)});
  unknown(name);
}

}  // namespace fovea::attention
