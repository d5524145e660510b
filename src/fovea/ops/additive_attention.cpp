#include "fovea/ops/additive_attention.h"
#include "fovea/ops/operand_gradients.h"

#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

namespace fovea::ops {
namespace {

void expect_heads(const PackedHeads& operand, std::int64_t heads, std::int64_t width, const char* name) {
  if (operand.matrix.shape().rank() == 2 && operand.first >= 0 && width > 0 &&
      operand.first + heads * width <= operand.matrix.dim(1))
    return;
  throw Error(Error::Kind::bug, std::string("additive attention: ") + name,
              std::to_string(heads) + " heads of width " + std::to_string(width) + " from column " +
                  std::to_string(operand.first) + " do not fit in " + operand.matrix.shape().text());
}

kernels::HeadStrides strides(const PackedHeads& operand, std::int64_t width) {
  return {operand.matrix.dim(1), width};
}

float* first_of(const PackedHeads& operand) { return operand.matrix.f32() + operand.first; }

// What a call reads, kept for its gradient. `value` is undefined for scores.
struct Operands {
  PackedHeads q, k;
  Tensor v;
  PackedHeads value;
  std::shared_ptr<const Sequences> queries, keys;
  Tensor prepared;

  kernels::AdditiveInputs inputs() const {
    return {first_of(q), first_of(k), v.f32(), value.matrix.defined() ? first_of(value) : nullptr,
            prepared.defined() ? prepared.f32() : nullptr};
  }
};

kernels::AdditiveExtents extents_of(const Operands& in, const AdditiveOptions& options) {
  expect_heads(in.q, options.heads, options.width, "q");
  expect_heads(in.k, options.heads, options.width, "k");
  expect_shape(in.v, {options.heads, options.width}, "additive attention: v [H, D]");
  if (in.queries->size() != in.keys->size())
    throw Error(Error::Kind::bug, "additive attention",
                std::to_string(in.queries->size()) + " query sequences but " +
                    std::to_string(in.keys->size()) + " key sequences");
  if (in.prepared.defined())
    expect_shape(in.prepared,
                 {in.k.matrix.dim(0), kernels::additive_prepared_row(options.heads, options.width)},
                 "additive attention: prepared keys");
  kernels::AdditiveExtents x;
  x.sequences = in.queries->size();
  x.heads = options.heads;
  x.width = options.width;
  x.q = strides(in.q, options.width);
  x.k = strides(in.k, options.width);
  x.q_start = in.queries->start.data();
  x.q_count = in.queries->count.data();
  x.k_start = in.keys->start.data();
  x.k_count = in.keys->count.data();
  x.key_rows = in.keys->rows.empty() ? nullptr : in.keys->rows.data();
  x.visible = options.visible;
  return x;
}

std::int64_t pairs_of(const Sequences& queries, const Sequences& keys, std::int64_t heads) {
  std::int64_t count = 0;
  for (std::size_t b = 0; b < queries.start.size(); ++b) count += heads * queries.count[b] * keys.count[b];
  return count;
}

// Gradients of q, k and value, which may be columns of one matrix, and of v.
class GradientTensors {
 public:
  GradientTensors(const Operands& in, std::int64_t key_columns, std::int64_t value_columns)
      : in_(in), d_v_(Tensor::empty(in.v.shape())) {
    to_.q = operands_.add(in.q, key_columns, *in.queries);
    to_.k = operands_.add(in.k, key_columns, *in.keys);
    if (in.value.matrix.defined()) to_.value = operands_.add(in.value, value_columns, *in.keys);
    to_.v = d_v_.f32();
  }
  const kernels::AdditiveGradients& to() const { return to_; }

  void give() const {
    operands_.give();
    give_gradient(in_.v, d_v_);
  }

 private:
  const Operands& in_;
  OperandGradients operands_;
  Tensor d_v_;
  kernels::AdditiveGradients to_{};
};

}  // namespace

Tensor prepare_additive_keys(const Context& ctx, const PackedHeads& k, std::int64_t heads,
                             std::int64_t width) {
  expect_heads(k, heads, width, "k");
  const std::int64_t N = k.matrix.dim(0);
  Tensor prepared = Tensor::empty({N, kernels::additive_prepared_row(heads, width)});
  kernels::additive_prepare(ctx.exec, N, heads, width, strides(k, width), first_of(k), prepared.f32());
  return prepared;
}

Tensor additive_attention(const Context& ctx, const PackedHeads& q, const PackedHeads& k, const Tensor& v,
                          const PackedHeads& value, std::shared_ptr<const Sequences> queries,
                          std::shared_ptr<const Sequences> keys, const AdditiveOptions& options) {
  const Operands in{q, k, v, value, std::move(queries), std::move(keys), options.prepared};
  expect_heads(value, options.heads, options.value_width, "value");
  const std::int64_t N = q.matrix.dim(0), columns = options.heads * options.value_width;
  kernels::AdditiveExtents x = extents_of(in, options);
  x.value_width = options.value_width;
  x.value = strides(value, options.value_width);
  x.out = {columns, options.value_width};
  x.dropout = ctx.dropout(options.dropping.p, options.dropping.site);

  Tensor context = Tensor::empty({N, columns});
  const bool records = ctx.records({&q.matrix, &k.matrix, &v, &value.matrix});
  const bool shows = ctx.recorder && ctx.recorder->wants(options.place);
  const Tensor lse = records || shows ? Tensor::empty({options.heads, N}) : Tensor();
  kernels::additive_attention_forward(ctx.exec, x, in.inputs(), context.f32(),
                                      lse.defined() ? lse.f32() : nullptr, N);
  if (shows) {
    const Tensor weights = Tensor::empty({pairs_of(*in.queries, *in.keys, options.heads)});
    kernels::additive_attention_weights(ctx.exec, x, in.inputs(), lse.f32(), N, weights.f32());
    ctx.recorder->attention(options.place, weights);
  }
  if (!records) return context;

  require_grad(context);
  ctx.tape->record([exec = ctx.exec, x, in, context, lse, N] {
    const Tensor d_context = arrived_gradient(context);
    if (!d_context.defined()) return;
    const GradientTensors gradients(in, x.heads * x.width, x.heads * x.value_width);
    kernels::additive_attention_backward(exec, x, in.inputs(), context.f32(), lse.f32(), N, d_context.f32(),
                                         gradients.to());
    gradients.give();
  });
  return context;
}

Tensor additive_scores(const Context& ctx, const PackedHeads& q, const PackedHeads& k, const Tensor& v,
                       std::shared_ptr<const Sequences> queries, std::shared_ptr<const Sequences> keys,
                       const AdditiveOptions& options) {
  const Operands in{q, k, v, {}, std::move(queries), std::move(keys), options.prepared};
  const kernels::AdditiveExtents x = extents_of(in, options);
  Tensor scores = Tensor::empty({pairs_of(*in.queries, *in.keys, options.heads)});
  kernels::additive_scores_forward(ctx.exec, x, in.inputs(), scores.f32());
  if (!ctx.records({&q.matrix, &k.matrix, &v})) return scores;

  require_grad(scores);
  ctx.tape->record([exec = ctx.exec, x, in, scores] {
    const Tensor d_scores = arrived_gradient(scores);
    if (!d_scores.defined()) return;
    const GradientTensors gradients(in, x.heads * x.width, 0);
    kernels::additive_scores_backward(exec, x, in.inputs(), d_scores.f32(), gradients.to());
    gradients.give();
  });
  return scores;
}

// With u = v / |v|:  d_g = u . d_y,   d_v = g / |v| (d_y - u (u . d_y))
Tensor weight_normalised(const Context& ctx, const Tensor& v, const Tensor& g) {
  expect_shape(v, {-1, -1}, "weight_normalised: v [H, D]");
  expect_shape(g, {v.dim(0)}, "weight_normalised: g [H]");
  const std::int64_t H = v.dim(0), D = v.dim(1);
  Tensor y = Tensor::empty(v.shape()), norms = Tensor::empty({H});
  for (std::int64_t h = 0; h < H; ++h) {
    double square = 0.0;
    for (std::int64_t d = 0; d < D; ++d) square += double(v.f32()[h * D + d]) * double(v.f32()[h * D + d]);
    const double norm = std::sqrt(square);
    if (!(norm > 0.0) || !std::isfinite(norm))
      throw Error(Error::Kind::diverged, "weight_normalised",
                  "row " + std::to_string(h) + " of v has norm " + std::to_string(norm));
    norms.f32()[h] = static_cast<float>(norm);
    for (std::int64_t d = 0; d < D; ++d)
      y.f32()[h * D + d] = static_cast<float>(double(g.f32()[h]) * double(v.f32()[h * D + d]) / norm);
  }
  if (!ctx.records({&v, &g})) return y;

  require_grad(y);
  ctx.tape->record([v, g, y, norms, H, D] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    Tensor d_v = Tensor::empty(v.shape()), d_g = Tensor::empty(g.shape());
    for (std::int64_t h = 0; h < H; ++h) {
      const float *row = v.f32() + h * D, *d_row = d_y.f32() + h * D;
      const double norm = norms.f32()[h];
      double along = 0.0;
      for (std::int64_t d = 0; d < D; ++d) along += double(row[d]) / norm * double(d_row[d]);
      d_g.f32()[h] = static_cast<float>(along);
      for (std::int64_t d = 0; d < D; ++d)
        d_v.f32()[h * D + d] = static_cast<float>(double(g.f32()[h]) / norm *
                                                  (double(d_row[d]) - double(row[d]) / norm * along));
    }
    give_gradient(v, d_v);
    give_gradient(g, d_g);
  });
  return y;
}

}  // namespace fovea::ops
