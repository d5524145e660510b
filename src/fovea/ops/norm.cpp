#include "fovea/ops/norm.h"

#include "fovea/kernels/rows.h"

namespace fovea::ops {
namespace {

using kernels::NormKind;

// beta is undefined for rms.
Tensor norm(const Context& ctx, NormKind kind, const Tensor& x, const Tensor& residual, const Tensor& gamma,
            const Tensor& beta, float eps, Dropping dropping) {
  expect_shape(x, {-1, -1}, "norm: x [N, D]");
  const std::int64_t N = x.dim(0), D = x.dim(1);
  if (residual.defined()) expect_shape(residual, {N, D}, "norm: residual [N, D]");
  expect_shape(gamma, {D}, "norm: gamma [D]");
  const bool centred = kind == NormKind::layer;
  if (centred) expect_shape(beta, {D}, "norm: beta [D]");
  const bool records = ctx.records({&x, &residual, &gamma, &beta});
  const kernels::NormExtents extents{N, D, eps, ctx.dropout(dropping.p, dropping.site), kind};
  const float* added = residual.defined() ? residual.f32() : nullptr;
  const float* shift = centred ? beta.f32() : nullptr;

  Tensor y = Tensor::empty({N, D});
  if (!records) {
    kernels::norm_forward(ctx.exec, extents, x.f32(), added, gamma.f32(), shift, nullptr, y.f32(), nullptr,
                          nullptr);
    return y;
  }
  // Without residual and dropout the sum is x itself.
  const bool keeps_sum = residual.defined() || extents.dropout.active();
  Tensor sum = keeps_sum ? Tensor::empty({N, D}) : x.detached();
  Tensor statistics = Tensor::empty({2, N});
  float *mean = statistics.f32(), *rstd = mean + N;
  kernels::norm_forward(ctx.exec, extents, x.f32(), added, gamma.f32(), shift,
                        keeps_sum ? sum.f32() : nullptr, y.f32(), mean, rstd);
  require_grad(y);
  ctx.tape->record([exec = ctx.exec, extents, x, residual, gamma, beta, y, sum, statistics] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    Tensor d_sum = Tensor::empty(y.shape());
    // d_x and d_residual may each be handed on and added to: they must not share memory.
    const bool two = extents.dropout.active() || (residual.requires_grad() && x.requires_grad());
    Tensor d_x = two ? Tensor::empty(y.shape()) : Tensor();
    Tensor unused;  // where the gradient of a fixed gamma and beta goes
    const auto target = [&](const Tensor& parameter) {
      if (parameter.requires_grad()) {
        const auto t = gradient_target(parameter);
        if (!t.accumulate) std::fill_n(t.data, extents.D, 0.0f);
        return t.data;
      }
      if (!unused.defined()) unused = Tensor::zeros({extents.D});
      return unused.f32();
    };
    float* d_gamma = target(gamma);
    float* d_beta = beta.defined() ? target(beta) : nullptr;
    kernels::norm_backward(exec, extents, d_y.f32(), sum.f32(), statistics.f32(),
                           statistics.f32() + extents.N, gamma.f32(), nullptr, d_sum.f32(),
                           two ? d_x.f32() : nullptr, d_gamma, d_beta);
    give_gradient(x, two ? d_x : d_sum);
    if (residual.requires_grad()) give_gradient(residual, d_sum);
  });
  return y;
}

}  // namespace

Tensor add_norm(const Context& ctx, const Tensor& x, const Tensor& residual, const Tensor& gamma,
                const Tensor& beta, float eps, Dropping dropping) {
  return norm(ctx, NormKind::layer, x, residual, gamma, beta, eps, dropping);
}

Tensor add_rms_norm(const Context& ctx, const Tensor& x, const Tensor& residual, const Tensor& gamma,
                    float eps, Dropping dropping) {
  return norm(ctx, NormKind::rms, x, residual, gamma, {}, eps, dropping);
}

Tensor add_residual(const Context& ctx, const Tensor& x, const Tensor& residual, Dropping dropping) {
  expect_shape(x, {-1, -1}, "residual: x [N, D]");
  expect_shape(residual, {x.dim(0), x.dim(1)}, "residual: residual [N, D]");
  const Dropout dropout = ctx.dropout(dropping.p, dropping.site);
  Tensor y = Tensor::empty(x.shape());
  kernels::residual_dropout(ctx.exec, x.elements(), dropout, x.f32(), residual.f32(), y.f32());
  if (!ctx.records({&x, &residual})) return y;
  require_grad(y);
  ctx.tape->record([exec = ctx.exec, dropout, x, residual, y] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    if (x.requires_grad()) {
      Tensor d_x = Tensor::empty(x.shape());
      kernels::residual_dropout(exec, d_x.elements(), dropout, d_y.f32(), nullptr, d_x.f32());
      give_gradient(x, d_x);
    }
    give_gradient(residual, d_y);
  });
  return y;
}

}  // namespace fovea::ops
