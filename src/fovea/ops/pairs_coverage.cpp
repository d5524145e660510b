#include "fovea/ops/pairs_coverage.h"

namespace fovea::ops {

Tensor coverage(const Context& ctx, const Tensor& weights, const PairsPtr& pairs) {
  pairs->expect(weights, "coverage: weights");
  Tensor sums = Tensor::empty(weights.shape());
  kernels::coverage_forward(ctx.exec, pairs->extents(), weights.f32(), sums.f32());
  if (!ctx.records({&weights})) return sums;

  require_grad(sums);
  ctx.tape->record([exec = ctx.exec, weights, pairs, sums] {
    const Tensor d_sums = arrived_gradient(sums);
    if (!d_sums.defined()) return;
    Tensor d_weights = Tensor::empty(weights.shape());
    kernels::coverage_backward(exec, pairs->extents(), d_sums.f32(), d_weights.f32());
    give_gradient(weights, d_weights);
  });
  return sums;
}

Tensor coverage_loss(const Context& ctx, const Tensor& weights, const Tensor& coverage,
                     const PairsPtr& pairs) {
  pairs->expect(weights, "coverage_loss: weights");
  pairs->expect(coverage, "coverage_loss: coverage");
  Tensor loss = Tensor::zeros({pairs->query_rows(), pairs->heads()});
  kernels::coverage_loss_forward(ctx.exec, pairs->extents(), weights.f32(), coverage.f32(), loss.f32());
  if (!ctx.records({&weights, &coverage})) return loss;

  require_grad(loss);
  ctx.tape->record([exec = ctx.exec, weights, coverage, pairs, loss] {
    const Tensor d_loss = arrived_gradient(loss);
    if (!d_loss.defined()) return;
    Tensor d_weights = Tensor::empty(weights.shape()), d_coverage = Tensor::empty(weights.shape());
    kernels::coverage_loss_backward(exec, pairs->extents(), weights.f32(), coverage.f32(), d_loss.f32(),
                                    d_weights.f32(), d_coverage.f32());
    give_gradient(weights, d_weights);
    give_gradient(coverage, d_coverage);
  });
  return loss;
}

double coverage_cost(const Context& ctx, const Tensor& weights, const Tensor& coverage, const PairsPtr& pairs,
                     float weight) {
  const Tensor loss = coverage_loss(ctx, weights, coverage, pairs);
  const auto heads = static_cast<float>(pairs->heads());
  if (loss.requires_grad()) give_gradient(loss, Tensor::full(loss.shape(), weight / heads));
  double sum = 0.0;
  for (const float cost : loss.values()) sum += double{cost};
  return sum / double{heads};
}

}  // namespace fovea::ops
