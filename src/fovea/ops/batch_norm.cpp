#include "fovea/ops/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "fovea/kernels/batch_norm.h"

namespace fovea::ops {
namespace {

void move_towards(const RunningMoments& running, const Tensor& mean, const Tensor& variance, std::int64_t M,
                  float momentum) {
  const float unbiased = M > 1 ? static_cast<float>(M) / static_cast<float>(M - 1) : 1.0f;
  for (std::int64_t c = 0; c < mean.elements(); ++c) {
    running.mean.f32()[c] += momentum * (mean.f32()[c] - running.mean.f32()[c]);
    running.variance.f32()[c] += momentum * (unbiased * variance.f32()[c] - running.variance.f32()[c]);
  }
}

void add_to_gradient(const Tensor& parameter, const float* share) {
  if (!parameter.requires_grad()) return;
  const auto target = gradient_target(parameter);
  for (std::int64_t c = 0; c < parameter.elements(); ++c)
    target.data[c] = target.accumulate ? target.data[c] + share[c] : share[c];
}

}  // namespace

Tensor batch_norm(const Context& ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const RunningMoments& running, const BatchNormOptions& options) {
  if (x.shape().rank() < 2)
    throw Error(Error::Kind::bug, "batch norm", "x is " + x.shape().text() + ", expected [..., C]");
  const std::int64_t C = x.shape()[-1], M = C ? x.elements() / C : 0;
  for (const Tensor* vector : {&gamma, &beta, &running.mean, &running.variance})
    expect_shape(*vector, {C}, "batch norm: gamma, beta, running moments [C]");
  const kernels::BatchNormExtents extents{M, C};
  const bool of_batch = ctx.training && M > 0;
  Tensor mean = of_batch ? Tensor::empty({C}) : running.mean.detached(), rstd = Tensor::empty({C});
  Tensor variance = of_batch ? Tensor::empty({C}) : running.variance.detached();
  if (of_batch) {
    kernels::column_moments(ctx.exec, extents, x.f32(), mean.f32(), variance.f32());
    move_towards(running, mean, variance, M, options.momentum);
  }
  for (std::int64_t c = 0; c < C; ++c) rstd.f32()[c] = 1.0f / std::sqrt(variance.f32()[c] + options.eps);

  Tensor y = Tensor::empty(x.shape());
  kernels::batch_norm_forward(ctx.exec, extents, x.f32(), mean.f32(), rstd.f32(), gamma.f32(), beta.f32(),
                              y.f32());
  if (!ctx.records({&x, &gamma, &beta})) return y;
  require_grad(y);
  if (!of_batch) mean = mean.clone();  // the running one may have moved by then
  ctx.tape->record([exec = ctx.exec, extents, x, gamma, beta, mean, rstd, y, of_batch] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    Tensor sums = Tensor::empty({2, extents.C});
    kernels::batch_norm_backward(exec, extents, x.f32(), mean.f32(), rstd.f32(), gamma.f32(), d_y.f32(),
                                 of_batch, sums.f32(), x.requires_grad() ? d_y.f32() : nullptr);
    add_to_gradient(gamma, sums.f32());
    add_to_gradient(beta, sums.f32() + extents.C);
    give_gradient(x, d_y);
  });
  return y;
}

}  // namespace fovea::ops
