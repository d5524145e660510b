#include "fovea/ops/attention.h"

#include <cmath>
#include <string>

#include "fovea/kernels/attention.h"

namespace fovea::ops {
namespace {

kernels::HeadStrides strides(const PackedHeads& operand, std::int64_t width) {
  return {operand.matrix.dim(1), width};
}

void expect_heads(const PackedHeads& operand, std::int64_t heads, std::int64_t width, const char* name) {
  if (operand.matrix.shape().rank() == 2 && operand.first >= 0 &&
      operand.first + heads * width <= operand.matrix.dim(1))
    return;
  throw Error(Error::Kind::bug, std::string("attention: ") + name,
              std::to_string(heads) + " heads of width " + std::to_string(width) + " from column " +
                  std::to_string(operand.first) + " do not fit in " + operand.matrix.shape().text());
}

// The gradient matrix of an operand; q, k and v of one packed matrix share it and write their own columns.
Tensor gradient_matrix(const PackedHeads& operand,
                       std::initializer_list<std::pair<const PackedHeads*, Tensor*>> made) {
  for (const auto& [other, gradient] : made)
    if (other->matrix.raw() == operand.matrix.raw()) return *gradient;
  return Tensor::empty(operand.matrix.shape());
}

std::int64_t weights_count(const Sequences& queries, const Sequences& keys, std::int64_t heads) {
  std::int64_t count = 0;
  for (std::size_t b = 0; b < queries.start.size(); ++b) count += heads * queries.count[b] * keys.count[b];
  return count;
}

}  // namespace

std::shared_ptr<const Sequences> Sequences::packed(std::span<const std::int32_t> offsets) {
  auto sequences = std::make_shared<Sequences>();
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    sequences->start.push_back(offsets[b]);
    sequences->count.push_back(offsets[b + 1] - offsets[b]);
  }
  return sequences;
}

Tensor attention(const Context& ctx, const PackedHeads& q, const PackedHeads& k, const PackedHeads& v,
                 std::shared_ptr<const Sequences> queries, std::shared_ptr<const Sequences> keys,
                 const AttentionOptions& options) {
  expect_heads(q, options.heads, options.key_width, "q");
  expect_heads(k, options.kv_heads, options.key_width, "k");
  expect_heads(v, options.kv_heads, options.value_width, "v");
  if (queries->size() != keys->size())
    throw Error(Error::Kind::bug, "attention",
                std::to_string(queries->size()) + " query sequences but " + std::to_string(keys->size()) +
                    " key sequences");
  const std::int64_t N = q.matrix.dim(0), width = options.heads * options.value_width;
  kernels::AttentionExtents extents;
  extents.sequences = queries->size();
  extents.heads = options.heads;
  extents.kv_heads = options.kv_heads;
  extents.key_width = options.key_width;
  extents.value_width = options.value_width;
  extents.q = strides(q, options.key_width);
  extents.k = strides(k, options.key_width);
  extents.v = strides(v, options.value_width);
  extents.out = {width, options.value_width};
  extents.q_start = queries->start.data();
  extents.q_count = queries->count.data();
  extents.k_start = keys->start.data();
  extents.k_count = keys->count.data();
  extents.key_rows = keys->rows.empty() ? nullptr : keys->rows.data();
  if (options.causal) extents.visible = kernels::Visibility::causal();
  extents.scale =
      options.scale != 0.0f ? options.scale : 1.0f / std::sqrt(static_cast<float>(options.key_width));
  extents.dropout = ctx.dropout(options.dropping.p, options.dropping.site);

  Tensor context = Tensor::empty({N, width});
  const bool records = ctx.records({&q.matrix, &k.matrix, &v.matrix});
  const bool recorded = ctx.recorder && ctx.recorder->wants(options.place);
  Tensor lse = records || recorded ? Tensor::empty({options.heads, N}) : Tensor();
  const kernels::AttentionInputs inputs{q.matrix.f32() + q.first, k.matrix.f32() + k.first,
                                        v.matrix.f32() + v.first};
  kernels::attention_forward(ctx.exec, extents, inputs, context.f32(), lse.defined() ? lse.f32() : nullptr,
                             N);
  if (recorded) {
    const Tensor weights = Tensor::empty({weights_count(*queries, *keys, options.heads)});
    kernels::AttentionWeights wanted;
    wanted.all = weights.f32();
    kernels::attention_weights(ctx.exec, extents, inputs, lse.f32(), N, wanted);
    ctx.recorder->attention(options.place, weights);
  }
  if (!records) return context;

  require_grad(context);
  ctx.tape->record([exec = ctx.exec, extents, q, k, v, queries, keys, context, lse, N] {
    const Tensor d_context = arrived_gradient(context);
    if (!d_context.defined()) return;
    Tensor d_q = Tensor::empty(q.matrix.shape());
    Tensor d_k = gradient_matrix(k, {{&q, &d_q}});
    Tensor d_v = gradient_matrix(v, {{&q, &d_q}, {&k, &d_k}});
    kernels::attention_backward(
        exec, extents, {q.matrix.f32() + q.first, k.matrix.f32() + k.first, v.matrix.f32() + v.first},
        context.f32(), lse.f32(), N, d_context.f32(),
        {d_q.f32() + q.first, d_k.f32() + k.first, d_v.f32() + v.first});
    give_gradient(q.matrix, d_q);
    if (d_k.raw() != d_q.raw()) give_gradient(k.matrix, d_k);
    if (d_v.raw() != d_q.raw() && d_v.raw() != d_k.raw()) give_gradient(v.matrix, d_v);
  });
  return context;
}

}  // namespace fovea::ops
