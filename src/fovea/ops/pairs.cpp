#include "fovea/ops/pairs.h"

#include <algorithm>

#include "fovea/ops/pair_operands.h"

namespace fovea::ops {
namespace {

[[noreturn]] void wrong(std::string_view where, const std::string& what) {
  throw Error(Error::Kind::bug, where, what);
}

std::int64_t rows_used(const Sequences& sequences) {
  std::int64_t rows = 0;
  if (!sequences.rows.empty()) {
    for (const std::int32_t row : sequences.rows) rows = std::max<std::int64_t>(rows, row + 1);
    return rows;
  }
  for (std::size_t b = 0; b < sequences.start.size(); ++b)
    if (sequences.count[b] > 0) rows = std::max(rows, sequences.start[b] + sequences.count[b]);
  return rows;
}

std::int64_t longest(const std::vector<std::int64_t>& counts) {
  return counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
}

std::string counts_text(const std::vector<std::int64_t>& counts) {
  std::string text;
  for (std::size_t b = 0; b < counts.size() && b < 4; ++b) text += (b ? "+" : "") + std::to_string(counts[b]);
  return counts.empty() ? "0" : counts.size() > 4 ? text + "+..." : text;
}

}  // namespace

PairsPtr Pairs::of(std::shared_ptr<const Sequences> queries, std::shared_ptr<const Sequences> keys,
                   std::int64_t heads) {
  if (heads < 1) wrong("pairs", "H = " + std::to_string(heads) + " heads");
  if (queries->size() != keys->size())
    wrong("pairs", std::to_string(queries->size()) + " query sequences but " + std::to_string(keys->size()) +
                       " key sequences");
  auto pairs = std::make_shared<Pairs>();
  pairs->heads_ = heads;
  pairs->offset_.push_back(0);
  for (std::size_t b = 0; b < queries->start.size(); ++b)
    pairs->offset_.push_back(pairs->offset_.back() + heads * queries->count[b] * keys->count[b]);
  pairs->query_rows_ = rows_used(*queries);
  pairs->key_rows_ = rows_used(*keys);
  pairs->queries_ = std::move(queries);
  pairs->keys_ = std::move(keys);
  return pairs;
}

std::int64_t Pairs::longest_T() const { return longest(queries_->count); }
std::int64_t Pairs::longest_S() const { return longest(keys_->count); }

kernels::PairExtents Pairs::extents() const {
  return {
      sequences(),         heads_,        queries_->start.data(), queries_->count.data(), keys_->start.data(),
      keys_->count.data(), offset_.data()};
}

void Pairs::expect(const Tensor& tensor, std::string_view where) const {
  if (tensor.defined() && tensor.elements() == elements()) return;
  wrong(where, (tensor.defined() ? tensor.shape().text() : std::string("nothing")) + " is not the " +
                   std::to_string(elements()) + " pairs of " + text());
}

void Pairs::expect_query_rows(const Tensor& matrix, std::string_view where) const {
  if (matrix.dim(0) >= query_rows_) return;
  wrong(where, matrix.shape().text() + " has fewer rows than the " + std::to_string(query_rows_) +
                   " queries of " + text());
}

void Pairs::expect_key_rows(const Tensor& matrix, std::string_view where) const {
  if (matrix.dim(0) >= key_rows_) return;
  wrong(where, matrix.shape().text() + " has fewer rows than the " + std::to_string(key_rows_) + " keys of " +
                   text());
}

std::string Pairs::text() const {
  return "H " + std::to_string(heads_) + ", T " + counts_text(queries_->count) + ", S " +
         counts_text(keys_->count);
}

Tensor dot_scores(const Context& ctx, const PackedHeads& q, const PackedHeads& k, const PairsPtr& pairs,
                  const DotOptions& options) {
  expect_pair_groups(pairs->heads(), options.kv_heads, "dot_scores");
  expect_pair_heads(q, pairs->heads(), options.width, "dot_scores: q");
  expect_pair_heads(k, options.kv_heads, options.width, "dot_scores: k");
  pairs->expect_query_rows(q.matrix, "dot_scores: q");
  pairs->expect_key_rows(k.matrix, "dot_scores: k");
  const auto x = pair_product(*pairs, options.kv_heads, options.width, q.matrix.dim(1), k.matrix.dim(1));
  Tensor scores = Tensor::empty({pairs->elements()});
  kernels::pair_dot(ctx.exec, x, options.scale, q.matrix.f32() + q.first, k.matrix.f32() + k.first,
                    scores.f32());
  if (!ctx.records({&q.matrix, &k.matrix})) return scores;

  require_grad(scores);
  ctx.tape->record([exec = ctx.exec, x, q, k, pairs, scores, scale = options.scale] {
    const Tensor d_scores = arrived_gradient(scores);
    if (!d_scores.defined()) return;
    const Tensor scaled = scale == 1.0f ? d_scores : Tensor::empty(d_scores.shape());
    if (scale != 1.0f)
      std::transform(d_scores.values().begin(), d_scores.values().end(), scaled.f32(),
                     [scale](float d) { return scale * d; });
    if (q.matrix.requires_grad())
      kernels::pair_mix(exec, x, scaled.f32(), k.matrix.f32() + k.first, true, gradient_columns(q));
    if (k.matrix.requires_grad())
      kernels::pair_mix_transposed(exec, x, scaled.f32(), q.matrix.f32() + q.first, gradient_columns(k));
  });
  return scores;
}

Tensor mix(const Context& ctx, const Tensor& weights, const PackedHeads& v, const PairsPtr& pairs,
           const MixOptions& options) {
  expect_pair_groups(pairs->heads(), options.kv_heads, "mix");
  expect_pair_heads(v, options.kv_heads, options.value_width, "mix: v");
  pairs->expect(weights, "mix: weights");
  pairs->expect_key_rows(v.matrix, "mix: v");
  const std::int64_t width = pairs->heads() * options.value_width;
  const auto x = pair_product(*pairs, options.kv_heads, options.value_width, width, v.matrix.dim(1));
  Tensor context = Tensor::zeros({pairs->query_rows(), width});
  kernels::pair_mix(ctx.exec, x, weights.f32(), v.matrix.f32() + v.first, false, context.f32());
  if (!ctx.records({&weights, &v.matrix})) return context;

  require_grad(context);
  ctx.tape->record([exec = ctx.exec, x, weights, v, pairs, context] {
    const Tensor d_context = arrived_gradient(context);
    if (!d_context.defined()) return;
    if (v.matrix.requires_grad())
      kernels::pair_mix_transposed(exec, x, weights.f32(), d_context.f32(), gradient_columns(v));
    if (!weights.requires_grad()) return;
    Tensor d_weights = Tensor::empty(weights.shape());
    kernels::pair_dot(exec, x, 1.0f, d_context.f32(), v.matrix.f32() + v.first, d_weights.f32());
    give_gradient(weights, d_weights);
  });
  return context;
}

Tensor pair_dropout(const Context& ctx, const Tensor& weights, const PairsPtr& pairs, Dropping dropping) {
  pairs->expect(weights, "pair_dropout");
  if (!(dropping.p >= 0.0f && dropping.p < 1.0f)) wrong("pair_dropout", "dropout must lie in [0, 1)");
  const Dropout dropout = ctx.dropout(dropping.p, dropping.site);
  if (!dropout.active()) return weights;
  Tensor out = Tensor::empty(weights.shape());
  kernels::pair_dropout(ctx.exec, pairs->extents(), dropout, weights.f32(), out.f32());
  if (!ctx.records({&weights})) return out;

  require_grad(out);
  ctx.tape->record([exec = ctx.exec, weights, pairs, out, dropout] {
    const Tensor d_out = arrived_gradient(out);
    if (!d_out.defined()) return;
    Tensor d_weights = Tensor::empty(weights.shape());
    kernels::pair_dropout(exec, pairs->extents(), dropout, d_out.f32(), d_weights.f32());
    give_gradient(weights, d_weights);
  });
  return out;
}

}  // namespace fovea::ops
