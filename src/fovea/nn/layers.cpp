#include "fovea/nn/layers.h"

#include "fovea/base/error.h"
#include "fovea/base/random.h"

namespace fovea::nn {
namespace {

// The packed form, if it serves; null: the values do.
const kernels::PackedLinear* ready(const ops::Context& ctx, const Parameter& W) {
  const kernels::PackedLinear& packed = W.packed;
  const bool fits = packed.bytes() > 0 && !ctx.tape &&
                    (packed.dtype() != DType::f32 || packed.matrix().kernels() == ctx.exec.kernels);
  if (!fits && !W.value.defined())
    throw Error(Error::Kind::bug, W.name.empty() ? W.parts.front().name : W.name,
                "was loaded for inference by other kernels, or not at all");
  return fits ? &packed : nullptr;
}

}  // namespace

Tensor linear(const ops::Context& ctx, const Tensor& x, const Parameter& W, const Tensor& b,
              const ops::LinearOptions& options) {
  if (const auto* packed = ready(ctx, W)) return ops::linear(ctx, x, *packed, b, options);
  return ops::linear(ctx, x, W.value, b, options);
}

Tensor embed(const ops::Context& ctx, std::span<const std::int32_t> ids, const Parameter& table, float scale,
             std::span<const std::int32_t> position, const Tensor& positions, ops::Dropping dropping) {
  const Tensor rows = ops::ids_tensor(ids), places = ops::ids_tensor(position);
  // As f32 the values stand in order, packed they do not.
  if (!table.value.defined())
    if (const auto* packed = ready(ctx, table))
      return ops::embed(ctx, rows, *packed, scale, places, positions);
  return ops::embed(ctx, rows, table.value, scale, places, positions, dropping);
}

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
