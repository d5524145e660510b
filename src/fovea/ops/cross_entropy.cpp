#include "fovea/ops/cross_entropy.h"

#include "fovea/kernels/cross_entropy.h"
#include "fovea/ops/output_layer.h"

namespace fovea::ops {

LossSums sum_of_losses(const Tensor& losses) {
  const std::int64_t N = losses.dim(1);
  LossSums sums{0.0, 0.0, N};
  for (std::int64_t n = 0; n < N; ++n) {
    sums.loss += losses.f32()[n];
    sums.nll += losses.f32()[N + n];
  }
  return sums;
}

LossSums linear_cross_entropy(const Context& ctx, const Tensor& x, const Tensor& W, const Tensor& b,
                              const Tensor& targets, float smoothing, float weight) {
  expect_shape(x, {-1, -1}, "output layer: x [N, D]");
  const std::int64_t N = x.dim(0), D = x.dim(1), V = W.dim(0);
  expect_shape(W, {V, D}, "output layer: W [V, D]");
  expect_shape(targets, {N}, "output layer: targets [N]");
  if (N == 0) return {};
  const bool records = ctx.records({&x, &W, &b});
  const Tensor losses = Tensor::empty({2, N});
  through_output_layer(ctx, x, W, b, records, [&](std::int64_t first, std::int64_t rows, float* logits) {
    kernels::cross_entropy(ctx.exec,
                           {.N = rows, .V = V, .smoothing = smoothing, .weight = weight, .gradient = records},
                           logits, targets.i32() + first, losses.f32() + first, losses.f32() + N + first);
  });
  return sum_of_losses(losses);
}

}  // namespace fovea::ops
