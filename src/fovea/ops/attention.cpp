#include "fovea/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "fovea/ops/operand_gradients.h"

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

std::int64_t weights_count(const Sequences& queries, const Sequences& keys, std::int64_t heads) {
  std::int64_t count = 0;
  for (std::size_t b = 0; b < queries.start.size(); ++b) count += heads * queries.count[b] * keys.count[b];
  return count;
}

std::int64_t longest(const std::vector<std::int64_t>& counts) {
  return counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
}

const std::uint8_t* bytes_of(const Tensor& mask) {
  if (mask.dtype() != DType::i8)
    throw Error(Error::Kind::bug, "attention",
                "a mask of " + std::string(name_of(mask.dtype())) + ", not i8");
  return reinterpret_cast<const std::uint8_t*>(mask.raw());
}

// Masks and strides of `terms`; what they point to lives as long as options.terms.
void add_terms(kernels::AttentionExtents& x, const PairTerms& terms, std::int64_t T, std::int64_t S) {
  const std::int64_t B = x.sequences, H = x.heads;
  if (!terms.prefix.empty()) {
    if (static_cast<std::int64_t>(terms.prefix.size()) != B)
      throw Error(
          Error::Kind::bug, "attention",
          std::to_string(terms.prefix.size()) + " prefixes for B = " + std::to_string(B) + " sequences");
    x.visible.prefix = terms.prefix.data();
  }
  if (terms.mask.defined()) x.mask = {bytes_of(terms.mask), pair_strides(terms.mask, "mask", B, H, T, S)};
  if (terms.blocks.defined()) {
    const auto blocks = [](std::int64_t extent, std::int64_t block) { return (extent + block - 1) / block; };
    if (terms.query_block < 1 || terms.key_block < 1)
      throw Error(Error::Kind::bug, "attention", "blocks of a mask hold at least one pair");
    x.blocks = {bytes_of(terms.blocks),
                pair_strides(terms.blocks, "block mask", B, H, blocks(T, terms.query_block),
                             blocks(S, terms.key_block)),
                terms.query_block, terms.key_block};
  }
  if (terms.bias.defined()) x.bias = pair_strides(terms.bias, "bias", B, H, T, S);
  if (terms.relative.defined()) {
    const Tensor& table = terms.relative;
    if (table.shape().rank() != 2 || (table.dim(0) != 1 && table.dim(0) != H))
      throw Error(
          Error::Kind::bug, "attention: relative bias",
          "is " + table.shape().text() + ", not [H, distances] with H = " + std::to_string(H) + " or 1");
    x.relative = {table.dim(0) == 1 ? 0 : table.dim(1), terms.relative_zero, table.dim(1)};
  }
  if (terms.sinks.defined()) expect_shape(terms.sinks, {H}, "attention: sinks [H]");
  if (const RotaryTables& tables = terms.rotary; tables.cos.defined()) {
    expect_shape(tables.cos, {-1, -1}, "attention: rotary cos [positions, rotated/2]");
    expect_shape(tables.sin, {tables.cos.dim(0), tables.cos.dim(1)}, "attention: rotary sin");
    x.rotary = {tables.cos.f32(), tables.sin.f32(), tables.rotated(), tables.positions(), tables.interleaved};
    if (!terms.query_positions.empty()) x.rotary.query_positions = terms.query_positions.data();
    if (!terms.key_positions.empty()) x.rotary.key_positions = terms.key_positions.data();
  }
}

kernels::AttentionExtents extents_of(const Context& ctx, const PackedHeads& q, const PackedHeads& k,
                                     const PackedHeads& v, const Sequences& queries_, const Sequences& keys_,
                                     const AttentionOptions& options) {
  const Sequences *const queries = &queries_, *const keys = &keys_;
  const std::int64_t width = options.heads * options.value_width;
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
  extents.visible = options.visible;
  extents.soft_cap = options.soft_cap;
  extents.scale =
      options.scale != 0.0f ? options.scale : 1.0f / std::sqrt(static_cast<float>(options.key_width));
  extents.dropout = ctx.dropout(options.dropping.p, options.dropping.site);
  if (options.terms) add_terms(extents, *options.terms, longest(queries->count), longest(keys->count));
  return extents;
}

kernels::AttentionInputs inputs_of(const PackedHeads& q, const PackedHeads& k, const PackedHeads& v,
                                   const PairTerms* terms) {
  kernels::AttentionInputs inputs{q.matrix.f32() + q.first, k.matrix.f32() + k.first,
                                  v.matrix.f32() + v.first};
  if (!terms) return inputs;
  if (terms->bias.defined()) inputs.bias = terms->bias.f32();
  if (terms->relative.defined()) inputs.relative = terms->relative.f32();
  if (terms->sinks.defined()) inputs.sinks = terms->sinks.f32();
  return inputs;
}

// Gradients of what `terms` may learn.
struct TermGradients {
  Tensor bias, relative, sinks;

  explicit TermGradients(const PairTerms* terms) {
    if (!terms) return;
    for (const auto& [value, gradient] :
         {std::pair{&terms->bias, &bias}, {&terms->relative, &relative}, {&terms->sinks, &sinks}})
      if (value->defined() && value->requires_grad()) *gradient = Tensor::zeros(value->shape());
  }
  void add_to(kernels::AttentionGradients& d) const {
    if (bias.defined()) d.bias = bias.f32();
    if (relative.defined()) d.relative = relative.f32();
    if (sinks.defined()) d.sinks = sinks.f32();
  }
  void give(const PairTerms* terms) const {
    if (bias.defined()) give_gradient(terms->bias, bias);
    if (relative.defined()) give_gradient(terms->relative, relative);
    if (sinks.defined()) give_gradient(terms->sinks, sinks);
  }
};

}  // namespace

kernels::PairStrides pair_strides(const Tensor& tensor, std::string_view what, std::int64_t B, std::int64_t H,
                                  std::int64_t T, std::int64_t S) {
  const Shape& shape = tensor.shape();
  const auto fits = [&](int axis, std::int64_t extent, bool at_least) {
    return shape[axis] == 1 || shape[axis] == extent || (at_least && shape[axis] > extent);
  };
  if (shape.rank() != 4 || !fits(0, B, false) || !fits(1, H, false) || !fits(2, T, true) || !fits(3, S, true))
    throw Error(
        Error::Kind::bug, "attention: " + std::string(what),
        "is " + shape.text() + ", which does not broadcast to [B, H, T, S] " + Shape{B, H, T, S}.text());
  kernels::PairStrides strides;
  std::int64_t elements = 1;
  std::int64_t* const stride[] = {&strides.sequence, &strides.head, &strides.query, &strides.key};
  for (int axis = 3; axis >= 0; --axis) {
    *stride[axis] = shape[axis] == 1 ? 0 : elements;
    elements *= shape[axis];
  }
  return strides;
}

std::shared_ptr<const Sequences> Sequences::first(std::int64_t n) const {
  return std::make_shared<Sequences>(
      Sequences{{start.begin(), start.begin() + n}, {count.begin(), count.begin() + n}, rows});
}

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
  const kernels::AttentionExtents extents = extents_of(ctx, q, k, v, *queries, *keys, options);

  Tensor context = Tensor::empty({N, width});
  const PairTerms* const terms = options.terms.get();
  const Tensor none;
  const bool records = ctx.records({&q.matrix, &k.matrix, &v.matrix, terms ? &terms->bias : &none,
                                    terms ? &terms->relative : &none, terms ? &terms->sinks : &none});
  const bool recorded = ctx.recorder && ctx.recorder->wants(options.place);
  Tensor lse = records || recorded ? Tensor::empty({options.heads, N}) : Tensor();
  const kernels::AttentionInputs inputs = inputs_of(q, k, v, terms);
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
  ctx.tape->record([exec = ctx.exec, extents, q, k, v, queries, keys, held = options.terms, context, lse, N] {
    const Tensor d_context = arrived_gradient(context);
    if (!d_context.defined()) return;
    OperandGradients operands;
    float* const d_q = operands.add(q, extents.heads * extents.key_width, *queries);
    float* const d_k = operands.add(k, extents.kv_heads * extents.key_width, *keys);
    float* const d_v = operands.add(v, extents.kv_heads * extents.value_width, *keys);
    const TermGradients d_terms(held.get());
    kernels::AttentionGradients d{d_q, d_k, d_v};
    d_terms.add_to(d);
    kernels::attention_backward(exec, extents, inputs_of(q, k, v, held.get()), context.f32(), lse.f32(), N,
                                d_context.f32(), d);
    d_terms.give(held.get());
    operands.give();
  });
  return context;
}

}  // namespace fovea::ops
