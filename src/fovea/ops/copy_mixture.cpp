#include "fovea/ops/copy_mixture.h"

#include <algorithm>

#include "fovea/ops/output_layer.h"

namespace fovea::ops {
namespace {

kernels::CopyExtents extents_of(const Copying& copying, std::int64_t N, std::int64_t V) {
  const Pairs& pairs = *copying.pairs;
  pairs.expect(copying.weights, "copying: weights");
  std::int64_t rows = 0;
  for (const std::int64_t T : pairs.queries().count) rows += T;
  if (rows != N || pairs.query_rows() != N || copying.p_gen.elements() != N)
    throw Error(Error::Kind::bug, "copying",
                "N = " + std::to_string(N) + " outputs, but " + std::to_string(rows) + " queries and p_gen " +
                    copying.p_gen.shape().text());
  if (copying.source->vocabulary() != V)
    throw Error(Error::Kind::bug, "copying",
                "sources of V = " + std::to_string(copying.source->vocabulary()) + " ids, logits of " +
                    std::to_string(V));
  copying.source->expect(pairs);
  kernels::CopyExtents extents;
  extents.pairs = pairs.extents();
  extents.source = copying.source->kernel();
  extents.V = V;
  extents.rows = N;
  return extents;
}

}  // namespace

CopySourcePtr CopySource::of(std::span<const std::int32_t> ids, const Sequences& sources, std::int64_t V) {
  if (!sources.rows.empty()) throw Error(Error::Kind::bug, "copying", "sources given row by row");
  auto made = std::make_shared<CopySource>();
  made->vocabulary_ = V;
  made->slot_.assign(ids.size(), 0);
  made->distinct_.assign(ids.size(), 0);
  made->count_.assign(ids.size(), 0);
  made->length_.assign(ids.size(), -1);
  for (std::size_t b = 0; b < sources.start.size(); ++b) {
    if (sources.count[b] == 0) continue;
    const auto begin = static_cast<std::size_t>(sources.start[b]),
               S = static_cast<std::size_t>(sources.count[b]);
    if (begin + S > ids.size())
      throw Error(Error::Kind::bug, "copying",
                  "a source of rows beyond the ids' " + std::to_string(ids.size()));
    const auto tokens = ids.subspan(begin, S);
    const auto first = made->distinct_.begin() + sources.start[b];
    std::copy(tokens.begin(), tokens.end(), first);
    std::sort(first, first + sources.count[b]);
    const auto last = std::unique(first, first + sources.count[b]);
    if (*first < 0 || *(last - 1) >= V)
      throw Error(Error::Kind::bug, "copying",
                  "a source holds id " + std::to_string(*first < 0 ? *first : *(last - 1)) +
                      ", outside [0, " + std::to_string(V) + ")");
    for (std::size_t j = 0; j < S; ++j)
      made->slot_[begin + j] = static_cast<std::int32_t>(std::lower_bound(first, last, tokens[j]) - first);
    made->count_[begin] = static_cast<std::int32_t>(last - first);
    made->length_[begin] = sources.count[b];
  }
  return made;
}

void CopySource::expect(const Pairs& pairs) const {
  const Sequences& keys = pairs.keys();
  bool fits = keys.rows.empty();
  for (std::size_t b = 0; fits && b < keys.start.size(); ++b)
    fits = keys.count[b] == 0 || (static_cast<std::size_t>(keys.start[b]) < length_.size() &&
                                  length_[static_cast<std::size_t>(keys.start[b])] == keys.count[b]);
  if (!fits)
    throw Error(Error::Kind::bug, "copying", "keys (" + pairs.text() + ") that are none of the sources");
}

LossSums linear_copy_cross_entropy(const Context& ctx, const Tensor& x, const Tensor& W, const Tensor& b,
                                   const Copying& copying, const Tensor& targets, float smoothing,
                                   float weight) {
  expect_shape(x, {-1, -1}, "output layer: x [N, D]");
  const std::int64_t N = x.dim(0), D = x.dim(1), V = W.dim(0);
  expect_shape(W, {V, D}, "output layer: W [V, D]");
  expect_shape(targets, {N}, "output layer: targets [N]");
  kernels::CopyExtents extents = extents_of(copying, N, V);
  if (N == 0) return {};
  const bool records = ctx.records({&x, &W, &b, &copying.p_gen, &copying.weights});
  extents.smoothing = smoothing;
  extents.weight = weight;
  extents.gradient = records;
  const Tensor losses = Tensor::empty({2, N});
  const Tensor d_p_gen = records ? Tensor::empty(copying.p_gen.shape()) : Tensor();
  const Tensor d_weights = records ? Tensor::empty(copying.weights.shape()) : Tensor();
  kernels::CopyLosses out{targets.i32(), losses.f32(), losses.f32() + N};
  if (records) out.d_p_gen = d_p_gen.f32(), out.d_weights = d_weights.f32();
  through_output_layer(ctx, x, W, b, records, [&](std::int64_t first, std::int64_t rows, float* logits) {
    extents.first = first;
    extents.rows = rows;
    kernels::copy_cross_entropy(ctx.exec, extents, {logits, copying.p_gen.f32(), copying.weights.f32()}, out);
  });
  if (records)
    ctx.tape->record([p_gen = copying.p_gen, weights = copying.weights, d_p_gen, d_weights] {
      give_gradient(p_gen, d_p_gen);
      give_gradient(weights, d_weights);
    });
  return sum_of_losses(losses);
}

Tensor copy_log_probabilities(const Context& ctx, const Tensor& logits, const Copying& copying) {
  expect_shape(logits, {-1, -1}, "copying: logits [N, V]");
  const kernels::CopyExtents extents = extents_of(copying, logits.dim(0), logits.dim(1));
  Tensor out = logits.clone();
  kernels::copy_log_probabilities(ctx.exec, extents, {out.f32(), copying.p_gen.f32(), copying.weights.f32()});
  return out;
}

}  // namespace fovea::ops
