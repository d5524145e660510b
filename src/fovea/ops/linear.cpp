#include "fovea/ops/linear.h"

#include <algorithm>
#include <vector>

#include "fovea/kernels/rows.h"

namespace fovea::ops {
namespace {

using kernels::Activation;

// A term, and what is kept of it for the way back.
struct Added {
  LowRank term;
  Dropout dropout;
  Tensor u;
};

// Gradients of y = x W^T + b, given that of y.
void linear_backward(const kernels::Execution& exec, const Tensor& x, const Tensor& W, const Tensor& b,
                     const Tensor& d_y) {
  const std::int64_t out = W.dim(0), in = W.dim(1), N = x.dim(0);
  if (x.requires_grad()) {
    const auto d_x = gradient_target(x);
    kernels::gemm(exec, {.M = N, .N = in, .K = out, .lda = out, .ldb = in, .ldc = in}, d_y.f32(), W.f32(),
                  d_x.data, {.accumulate = d_x.accumulate});
  }
  if (W.requires_grad()) {
    const auto d_W = gradient_target(W);
    kernels::gemm(exec, {.M = out, .N = in, .K = N, .lda = out, .ldb = in, .ldc = in, .transpose_a = true},
                  d_y.f32(), x.f32(), d_W.data, {.accumulate = d_W.accumulate});
  }
  if (b.requires_grad()) {
    const auto d_b = gradient_target(b);
    if (!d_b.accumulate) std::fill_n(d_b.data, out, 0.0f);
    kernels::column_sum(exec, N, out, d_y.f32(), d_b.data);
  }
}

}  // namespace

Tensor linear(const Context& ctx, const Tensor& x, const kernels::PackedLinear& W, const Tensor& b,
              const LinearOptions& options) {
  expect_shape(x, {-1, W.K()}, "linear: x [N, in]");
  if (b.defined()) expect_shape(b, {W.N()}, "linear: b [out]");
  Tensor y = Tensor::empty({x.dim(0), W.N()});
  kernels::linear(ctx.exec, x.dim(0), x.f32(), W, y.f32(),
                  {.bias = b.defined() ? b.f32() : nullptr, .activation = options.activation});
  if (const Dropout dropout = ctx.dropout(options.dropout, options.site); dropout.active())
    kernels::residual_dropout(ctx.exec, y.elements(), dropout, y.f32(), nullptr, y.f32());
  return y;
}

Tensor linear(const Context& ctx, const Tensor& x, const Tensor& W, const Tensor& b,
              const LinearOptions& options) {
  return linear(ctx, x, W, b, {}, options);
}

Tensor linear(const Context& ctx, const Tensor& x, const Tensor& W, const Tensor& b,
              std::span<const LowRank> terms, const LinearOptions& options) {
  expect_shape(W, {-1, -1}, "linear: W [out, in]");
  const std::int64_t out = W.dim(0), in = W.dim(1);
  expect_shape(x, {-1, in}, "linear: x [N, in]");
  if (b.defined()) expect_shape(b, {out}, "linear: b [out]");
  const std::int64_t N = x.dim(0);
  const bool records = ctx.records({&x, &W, &b}) || std::ranges::any_of(terms, [&](const LowRank& term) {
                         return ctx.records({&term.A, &term.B});
                       });
  const Activation activation = options.activation;
  const Dropout dropout = ctx.dropout(options.dropout, options.site);

  // The product's chains of sums go on from what the terms give.
  Tensor y = terms.empty() ? Tensor::empty({N, out}) : Tensor::zeros({N, out});
  std::vector<Added> added;
  for (const LowRank& term : terms) {
    expect_fitting(term, W);
    added.push_back({term, ctx.dropout(term.dropping.p, term.dropping.site),
                     add_low_rank(ctx, term, N, x.f32(), {y.f32(), out})});
  }
  // Backward needs what came before the activation; relu's derivative can be read off its output.
  const bool keeps_pre = records && activation != Activation::identity && activation != Activation::relu;
  Tensor pre = keeps_pre ? Tensor::empty({N, out}) : Tensor();
  kernels::gemm(ctx.exec, {.M = N, .N = out, .K = in, .lda = in, .ldb = in, .ldc = out, .transpose_b = true},
                x.f32(), W.f32(), y.f32(),
                {.accumulate = !terms.empty(),
                 .bias = b.defined() ? b.f32() : nullptr,
                 .pre_activation = keeps_pre ? pre.f32() : nullptr,
                 .activation = activation});
  if (dropout.active()) kernels::residual_dropout(ctx.exec, y.elements(), dropout, y.f32(), nullptr, y.f32());
  if (!records) return y;

  require_grad(y);
  if (activation == Activation::relu) pre = y.detached();
  ctx.tape->record([exec = ctx.exec, x, W, b, added = std::move(added), y, pre, activation, dropout] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    // The gradient of y is nobody else's any more: overwrite it.
    if (activation != Activation::identity)
      kernels::activation_backward(exec, d_y.elements(), activation, dropout, pre.f32(), d_y.f32(),
                                   d_y.f32());
    else if (dropout.active())
      kernels::residual_dropout(exec, d_y.elements(), dropout, d_y.f32(), nullptr, d_y.f32());
    linear_backward(exec, x, W, b, d_y);
    for (const auto& [term, dropping, u] : added)
      low_rank_backward(exec, term, dropping, x, u, {d_y.f32(), W.dim(0)});
  });
  return y;
}

}  // namespace fovea::ops
