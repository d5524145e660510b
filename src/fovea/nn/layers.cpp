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
    : Linear(builder, name, in, out, LinearForm{.bias = bias}) {}

Linear::Linear(Builder& builder, const std::string& name, std::int64_t in, std::int64_t out,
               const LinearForm& form)
    : Linear(builder, {{name, out}}, in, form) {}

Linear::Linear(Builder& builder, std::vector<NamedRows> parts, std::int64_t in, float gain)
    : Linear(builder, parts, in, LinearForm{.initial = Initial::xavier(in, parts.front().rows, gain)}) {}

Linear::Linear(Builder& builder, const std::vector<NamedRows>& parts, std::int64_t in,
               const LinearForm& form) {
  std::int64_t out = 0;
  for (const auto& part : parts) out += part.rows;
  const auto add = [&](const char* suffix, const Shape& shape, const Initial& initial) {
    if (parts.size() == 1) return builder.parameters().add(parts.front().name + suffix, shape, initial);
    std::vector<NamedRows> named = parts;
    for (auto& part : named) part.name += suffix;
    return builder.parameters().add_packed(std::move(named), shape, initial);
  };
  weight_ = add(".weight", {out, in}, form.initial ? *form.initial : Initial::xavier(in, out));
  if (form.bias == Bias::with) bias_ = add(".bias", {out}, Initial::zeros());
  weight_->multiplies = true;
  weight_->input_first = form.input_first;
}

LayerNorm::LayerNorm(Builder& builder, const std::string& name, std::int64_t width, float eps)
    : gamma_(builder.parameters().add(name + ".weight", {width}, Initial::ones())),
      beta_(builder.parameters().add(name + ".bias", {width}, Initial::zeros())),
      eps_(eps) {}

RmsNorm::RmsNorm(Builder& builder, const std::string& name, std::int64_t width, float eps)
    : gamma_(builder.parameters().add(name + ".weight", {width}, Initial::ones())), eps_(eps) {}

}  // namespace fovea::nn
