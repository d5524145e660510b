#include "fovea/ops/step_linear.h"

#include <algorithm>
#include <optional>

#include "fovea/kernels/column_sum.h"
#include "fovea/ops/packed_weight.h"

namespace fovea::ops {
// What the steps share. Rows of x and of the gradient of y gather in two matrices of a fixed height; whenever
// they are full, and at the end, a product takes them to the gradient of W. Its chain of sums goes on from
// product to product, so that the bits are those of one product over all rows.
struct StepLinear::Steps {
  static constexpr std::int64_t height = 512;
  Tensor W, b;
  PackedWeight forward;
  std::optional<PackedWeight> backward;  // from the first step back on
  Tensor x_rows, d_y_rows;
  std::int64_t held = 0;

  bool wants_weights() const { return W.requires_grad() || b.requires_grad(); }
  void keep(const kernels::Execution& exec, const Tensor& x, const Tensor& d_y);
  void flush(const kernels::Execution& exec);
  void add_gradients(const kernels::Execution& exec, std::int64_t rows, const float* x,
                     const float* d_y) const;
};

void StepLinear::Steps::keep(const kernels::Execution& exec, const Tensor& x, const Tensor& d_y) {
  const std::int64_t rows = x.dim(0), out = W.dim(0), in = W.dim(1);
  if (held + rows > height) flush(exec);
  if (rows > height) return add_gradients(exec, rows, x.f32(), d_y.f32());
  if (!x_rows.defined()) {
    x_rows = Tensor::empty({height, in});
    d_y_rows = Tensor::empty({height, out});
  }
  std::copy_n(x.f32(), x.elements(), x_rows.f32() + held * in);
  std::copy_n(d_y.f32(), d_y.elements(), d_y_rows.f32() + held * out);
  held += rows;
}

void StepLinear::Steps::flush(const kernels::Execution& exec) {
  if (held > 0) add_gradients(exec, held, x_rows.f32(), d_y_rows.f32());
  held = 0;
}

void StepLinear::Steps::add_gradients(const kernels::Execution& exec, std::int64_t rows, const float* x,
                                      const float* d_y) const {
  const std::int64_t out = W.dim(0), in = W.dim(1);
  if (W.requires_grad()) {
    const auto d_W = gradient_target(W);
    kernels::gemm(exec, {.M = out, .N = in, .K = rows, .lda = out, .ldb = in, .ldc = in, .transpose_a = true},
                  d_y, x, d_W.data, {.accumulate = d_W.accumulate});
  }
  if (b.requires_grad()) {
    const auto d_b = gradient_target(b);
    if (!d_b.accumulate) std::fill_n(d_b.data, out, 0.0f);
    kernels::column_sum(exec, rows, out, d_y, d_b.data);
  }
}

StepLinear::StepLinear(const Context& ctx, const Tensor& W, const Tensor& b)
    : steps_(std::make_shared<Steps>()) {
  expect_shape(W, {-1, -1}, "step linear: W [out, in]");
  if (b.defined()) expect_shape(b, {W.dim(0)}, "step linear: b [out]");
  steps_->W = W;
  steps_->b = b;
  steps_->forward = PackedWeight::forward(ctx.exec, W);
  if (ctx.records({&W, &b})) ctx.tape->record([exec = ctx.exec, steps = steps_] { steps->flush(exec); });
}

Tensor StepLinear::operator()(const Context& ctx, const Tensor& x, const Tensor& onto) const {
  const Tensor &W = steps_->W, &b = steps_->b;
  const std::int64_t out = W.dim(0), in = W.dim(1);
  expect_shape(x, {-1, in}, "step linear: x [R, in]");
  const std::int64_t R = x.dim(0);
  if (onto.defined()) expect_shape(onto, {R, out}, "step linear: onto [R, out]");
  Tensor y = onto.defined() ? onto.clone() : Tensor::empty({R, out});
  kernels::gemm(ctx.exec, {.M = R, .N = out, .K = in, .lda = in, .ldc = out}, x.f32(), steps_->forward.matrix,
                y.f32(), {.accumulate = onto.defined(), .bias = b.defined() ? b.f32() : nullptr});
  if (!ctx.records({&x, &W, &b, &onto})) return y;

  require_grad(y);
  ctx.tape->record([exec = ctx.exec, steps = steps_, x, onto, y] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    const Tensor& W = steps->W;
    if (x.requires_grad()) {
      if (!steps->backward) steps->backward = PackedWeight::backward(exec, W);
      const std::int64_t out = W.dim(0), in = W.dim(1);
      const auto d_x = gradient_target(x);
      kernels::gemm(exec, {.M = x.dim(0), .N = in, .K = out, .lda = out, .ldc = in}, d_y.f32(),
                    steps->backward->matrix, d_x.data, {.accumulate = d_x.accumulate});
    }
    if (steps->wants_weights()) steps->keep(exec, x, d_y);
    give_gradient(onto, d_y);
  });
  return y;
}

}  // namespace fovea::ops
