#include "fovea/nn/layers.h"

#include <algorithm>
#include <functional>
#include <string>

#include "fovea/base/error.h"
#include "fovea/base/random.h"
#include "fovea/kernels/rows.h"

namespace fovea::nn {
namespace {

bool has_packed_for(const kernels::Execution& exec, const Parameter& W) {
  const kernels::PackedLinear& packed = W.packed;
  return packed.bytes() > 0 && (packed.dtype() != DType::f32 || packed.matrix().kernels() == exec.kernels);
}

// The packed form, if it may be used and serves; null: the values do.
const kernels::PackedLinear* choose_form(const kernels::Execution& exec, const Parameter& W, bool may) {
  if (may && has_packed_for(exec, W)) return &W.packed;
  if (!W.value.defined())
    throw Error(Error::Kind::bug, W.name.empty() ? W.parts.front().name : W.name,
                "was loaded for inference by other kernels, or not at all");
  return nullptr;
}

const kernels::PackedLinear* ready(const ops::Context& ctx, const Parameter& W) {
  return choose_form(ctx.exec, W, !ctx.tape);
}

void expect_within(std::span<const std::int32_t> ids, std::int64_t count, const char* what) {
  for (const auto id : ids)
    if (id < 0 || id >= count)
      throw Error(Error::Kind::bug, "embed",
                  std::string(what) + " " + std::to_string(id) + " of a table with " + std::to_string(count) +
                      " rows");
}

}  // namespace

Tensor linear(const ops::Context& ctx, const Tensor& x, const Parameter& W, const Tensor& b,
              const ops::LinearOptions& options) {
  if (const auto* packed = ready(ctx, W)) return ops::linear(ctx, x, *packed, b, options);
  return ops::linear(ctx, x, W.value, b, W.adapters, options);
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

const kernels::PackedLinear* packed_for(const kernels::Execution& exec, const Parameter& W) {
  return choose_form(exec, W, true);
}

void linear_rows(const kernels::Execution& exec, std::int64_t N, const float* x, const Parameter& W,
                 const Tensor& b, kernels::Activation activation, float* y) {
  const float* bias = b.defined() ? b.f32() : nullptr;
  if (const auto* packed = packed_for(exec, W))
    return kernels::linear(exec, N, x, *packed, y, {.bias = bias, .activation = activation});
  const std::int64_t out = W.shape[0], in = W.shape[1];
  const bool adapted = !W.adapters.empty();
  if (adapted) std::fill_n(y, N * out, 0.0f);
  for (const auto& term : W.adapters) ops::add_low_rank({.exec = exec}, term, N, x, {y, out});
  kernels::gemm(exec, {.M = N, .N = out, .K = in, .lda = in, .ldb = in, .ldc = out, .transpose_b = true}, x,
                W.value.f32(), y, {.accumulate = adapted, .bias = bias, .activation = activation});
}

void embed_rows(const kernels::Execution& exec, std::span<const std::int32_t> ids, const Parameter& table,
                float scale, std::span<const std::int32_t> position, const Tensor& positions, float* y) {
  const std::int64_t N = std::ssize(ids), D = table.shape[1];
  expect_within(ids, table.shape[0], "id");
  if (positions.defined()) expect_within(position, positions.dim(0), "position");
  if (table.value.defined())
    return kernels::embed_forward(exec, {N, D, scale}, ids.data(), table.value.f32(), position.data(),
                                  positions.defined() ? positions.f32() : nullptr, y);
  kernels::look_up_rows(exec, *packed_for(exec, table), N, ids.data(), scale, y);
  if (!positions.defined()) return;
  for (std::int64_t n = 0; n < N; ++n, y += D) {
    const float* place = positions.f32() + position[static_cast<std::size_t>(n)] * D;
    std::transform(y, y + D, place, y, std::plus<float>());
  }
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
  weight_->multiplies = weight_->adaptable = true;
  weight_->input_first = form.input_first;
}

LayerNorm::LayerNorm(Builder& builder, const std::string& name, std::int64_t width, float eps)
    : gamma_(builder.parameters().add(name + ".weight", {width}, Initial::ones())),
      beta_(builder.parameters().add(name + ".bias", {width}, Initial::zeros())),
      eps_(eps) {}

RmsNorm::RmsNorm(Builder& builder, const std::string& name, std::int64_t width, float eps)
    : gamma_(builder.parameters().add(name + ".weight", {width}, Initial::ones())), eps_(eps) {}

void LayerNorm::rows(const kernels::Execution& exec, std::int64_t N, const float* x, const float* residual,
                     float* y) const {
  kernels::norm_forward(exec, {N, width(), eps_, {}}, x, residual, gamma_->value.f32(), beta_->value.f32(),
                        nullptr, y, nullptr, nullptr);
}

}  // namespace fovea::nn
