#include "fovea/nn/layers.h"

#include "fovea/base/random.h"

namespace fovea::nn {

Linear::Linear(Builder& builder, const std::string& name, std::int64_t in, std::int64_t out, Bias bias)
    : weight_(builder.parameters().add(name + ".weight", {out, in}, Initial::xavier(in, out))),
      bias_(bias == Bias::with ? builder.parameters().add(name + ".bias", {out}, Initial::zeros())
                               : nullptr) {
  weight_->multiplies = true;
}

Linear::Linear(Builder& builder, std::vector<NamedRows> parts, std::int64_t in, float gain) {
  std::vector<NamedRows> weights, biases;
  std::int64_t out = 0;
  for (const auto& part : parts) {
    weights.push_back({part.name + ".weight", part.rows});
    biases.push_back({part.name + ".bias", part.rows});
    out += part.rows;
  }
  const Initial initial = Initial::xavier(in, parts.front().rows, gain);
  weight_ = builder.parameters().add_packed(std::move(weights), {out, in}, initial);
  bias_ = builder.parameters().add_packed(std::move(biases), {out}, Initial::zeros());
  weight_->multiplies = true;
}

LayerNorm::LayerNorm(Builder& builder, const std::string& name, std::int64_t width, float eps)
    : gamma_(builder.parameters().add(name + ".weight", {width}, Initial::ones())),
      beta_(builder.parameters().add(name + ".bias", {width}, Initial::zeros())),
      eps_(eps) {}

}  // namespace fovea::nn
