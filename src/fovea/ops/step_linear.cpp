#include "fovea/ops/step_linear.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "fovea/kernels/column_sum.h"

namespace fovea::ops {
namespace {

// op(W) packed in memory that returns to where tensors take theirs from.
struct Packed {
  Tensor memory;
  kernels::PackedMatrix matrix;
};

Packed pack(const kernels::Execution& exec, const Tensor& W, bool transposed) {
  const std::int64_t out = W.dim(0), in = W.dim(1), K = transposed ? in : out, N = transposed ? out : in;
  Packed packed;
  packed.memory = Tensor::empty({static_cast<std::int64_t>(kernels::packed_floats(exec, K, N))});
  packed.matrix = kernels::pack_b(exec, K, N, W.f32(), in, transposed, packed.memory.f32());
  return packed;
}

}  // namespace

struct StepLinear::Steps {
  Tensor W, b;
  Packed forward;
  std::optional<Packed> backward;  // from the first step back on
  struct Step {
    Tensor x, d_y;
  };
  std::vector<Step> steps;  // whose gradient has arrived

  void finish(const kernels::Execution& exec);
};

namespace {

Tensor stacked(const std::vector<Tensor>& parts, std::int64_t width) {
  std::int64_t rows = 0;
  for (const Tensor& part : parts) rows += part.dim(0);
  Tensor all = Tensor::empty({rows, width});
  float* to = all.f32();
  for (const Tensor& part : parts) to = std::copy_n(part.f32(), part.elements(), to);
  return all;
}

}  // namespace

// The gradients of W and b: one product over the rows of all steps.
void StepLinear::Steps::finish(const kernels::Execution& exec) {
  if (steps.empty()) return;
  const std::int64_t out = W.dim(0), in = W.dim(1);
  std::vector<Tensor> x_parts, d_y_parts;
  for (const Step& step : steps) {
    x_parts.push_back(step.x);
    d_y_parts.push_back(step.d_y);
  }
  const Tensor d_y = stacked(d_y_parts, out);
  const std::int64_t N = d_y.dim(0);
  if (W.requires_grad()) {
    const Tensor x = stacked(x_parts, in);
    const auto d_W = gradient_target(W);
    kernels::gemm(exec, {.M = out, .N = in, .K = N, .lda = out, .ldb = in, .ldc = in, .transpose_a = true},
                  d_y.f32(), x.f32(), d_W.data, {.accumulate = d_W.accumulate});
  }
  if (b.requires_grad()) {
    const auto d_b = gradient_target(b);
    if (!d_b.accumulate) std::fill_n(d_b.data, out, 0.0f);
    kernels::column_sum(exec, N, out, d_y.f32(), d_b.data);
  }
  steps.clear();
}

StepLinear::StepLinear(const Context& ctx, const Tensor& W, const Tensor& b)
    : steps_(std::make_shared<Steps>()) {
  expect_shape(W, {-1, -1}, "step linear: W [out, in]");
  if (b.defined()) expect_shape(b, {W.dim(0)}, "step linear: b [out]");
  steps_->W = W;
  steps_->b = b;
  steps_->forward = pack(ctx.exec, W, true);
  if (ctx.records({&W, &b})) ctx.tape->record([exec = ctx.exec, steps = steps_] { steps->finish(exec); });
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
      if (!steps->backward) steps->backward = pack(exec, W, false);
      const std::int64_t out = W.dim(0), in = W.dim(1);
      const auto d_x = gradient_target(x);
      kernels::gemm(exec, {.M = x.dim(0), .N = in, .K = out, .lda = out, .ldc = in}, d_y.f32(),
                    steps->backward->matrix, d_x.data, {.accumulate = d_x.accumulate});
    }
    const bool kept = W.requires_grad() || steps->b.requires_grad();
    if (kept) steps->steps.push_back({x.detached(), d_y});
    // What is kept must not change when others add to the gradient of `onto`.
    if (onto.requires_grad()) give_gradient(onto, kept ? d_y.clone() : d_y);
  });
  return y;
}

}  // namespace fovea::ops
