#include "fovea/attention/spatial_nonlocal.h"

#include <memory>

#include "fovea/base/error.h"
#include "fovea/kernels/gemm.h"
#include "fovea/ops/attention.h"

namespace fovea::attention {
namespace {

NonLocalShape checked(const std::string& name, NonLocalShape shape) {
  if (shape.inner == 0) shape.inner = shape.channels / 2;
  if (shape.channels < 1 || shape.inner < 1)
    throw Error(Error::Kind::model, name,
                "C = " + std::to_string(shape.channels) + " channels with " + std::to_string(shape.inner) +
                    " inside");
  return shape;
}

std::shared_ptr<const ops::Sequences> images(std::int64_t N, std::int64_t P) {
  auto sequences = std::make_shared<ops::Sequences>();
  for (std::int64_t n = 0; n < N; ++n) {
    sequences->start.push_back(n * P);
    sequences->count.push_back(P);
  }
  return sequences;
}

/// Products of the columns theta, phi and g of a matrix [N*P, 3*D], image by image.
struct Projections {
  std::int64_t N, P, D;

  const float* column(const Tensor& matrix, std::int64_t n, int which) const {
    return matrix.f32() + n * P * 3 * D + which * D;
  }
  float share() const { return 1.0f / static_cast<float>(P); }
};

void scale(float factor, std::int64_t count, float* values) {
  for (std::int64_t i = 0; i < count; ++i) values[i] *= factor;
}

/// summary[n] = phi^T g / P, [N, D, D]: all that a pixel needs to know of the others.
Tensor summaries(const kernels::Execution& exec, const Projections& p, const Tensor& matrix) {
  Tensor summary = Tensor::empty({p.N, p.D, p.D});
  for (std::int64_t n = 0; n < p.N; ++n)
    kernels::gemm(
        exec, {.M = p.D, .N = p.D, .K = p.P, .lda = 3 * p.D, .ldb = 3 * p.D, .ldc = p.D, .transpose_a = true},
        p.column(matrix, n, 1), p.column(matrix, n, 2), summary.f32() + n * p.D * p.D);
  scale(p.share(), summary.elements(), summary.f32());
  return summary;
}

void backward(const kernels::Execution& exec, const Projections& p, const Tensor& matrix,
              const Tensor& summary, const Tensor& d_y, const Tensor& d_matrix) {
  const std::int64_t D = p.D, wide = 3 * D;
  Tensor d_summary = Tensor::empty({D, D});
  for (std::int64_t n = 0; n < p.N; ++n) {
    const float* d = d_y.f32() + n * p.P * D;
    const auto to = [&](int which) { return d_matrix.f32() + n * p.P * wide + which * D; };
    const kernels::GemmExtents back{.M = p.P, .N = D, .K = D, .lda = wide, .ldb = D, .ldc = wide};
    auto back_transposed = back;
    back_transposed.transpose_b = true;
    auto of_d = back_transposed;
    of_d.lda = D;
    kernels::gemm(exec, of_d, d, summary.f32() + n * D * D, to(0));
    kernels::gemm(exec, {.M = D, .N = D, .K = p.P, .lda = wide, .ldb = D, .ldc = D, .transpose_a = true},
                  p.column(matrix, n, 0), d, d_summary.f32());
    scale(p.share(), D * D, d_summary.f32());
    kernels::gemm(exec, back_transposed, p.column(matrix, n, 2), d_summary.f32(), to(1));
    kernels::gemm(exec, back, p.column(matrix, n, 1), d_summary.f32(), to(2));
  }
}

/// theta phi^T / P of every image, [N][1, P, P], for the recorder.
Tensor dot_weights(const kernels::Execution& exec, const Projections& p, const Tensor& matrix) {
  Tensor weights = Tensor::empty({p.N * p.P * p.P});
  for (std::int64_t n = 0; n < p.N; ++n)
    kernels::gemm(
        exec, {.M = p.P, .N = p.P, .K = p.D, .lda = 3 * p.D, .ldb = 3 * p.D, .ldc = p.P, .transpose_b = true},
        p.column(matrix, n, 0), p.column(matrix, n, 1), weights.f32() + n * p.P * p.P);
  scale(p.share(), weights.elements(), weights.f32());
  return weights;
}

/// y_i = sum_j (theta_i . phi_j / P) g_j, by theta (phi^T g) / P.
Tensor dot_product(const ops::Context& ctx, const Projections& p, const Tensor& matrix) {
  const Tensor summary = summaries(ctx.exec, p, matrix);
  Tensor y = Tensor::empty({p.N * p.P, p.D});
  for (std::int64_t n = 0; n < p.N; ++n)
    kernels::gemm(ctx.exec, {.M = p.P, .N = p.D, .K = p.D, .lda = 3 * p.D, .ldb = p.D, .ldc = p.D},
                  p.column(matrix, n, 0), summary.f32() + n * p.D * p.D, y.f32() + n * p.P * p.D);
  if (!ctx.records({&matrix})) return y;
  ops::require_grad(y);
  ctx.tape->record([exec = ctx.exec, p, matrix, summary, y] {
    const Tensor d_y = ops::arrived_gradient(y);
    if (!d_y.defined()) return;
    Tensor d_matrix = Tensor::empty(matrix.shape());
    backward(exec, p, matrix, summary, d_y, d_matrix);
    ops::give_gradient(matrix, d_matrix);
  });
  return y;
}

}  // namespace

NonLocal::NonLocal(nn::Builder& builder, const std::string& name, const NonLocalShape& shape)
    : shape_(checked(name, shape)),
      theta_phi_g_(
          builder,
          {{name + ".theta", shape_.inner}, {name + ".phi", shape_.inner}, {name + ".g", shape_.inner}},
          shape_.channels, 1.0f),
      out_weight_(builder.parameters().add(name + ".out.weight", {shape_.channels, shape_.inner},
                                           nn::Initial::zeros())),
      out_bias_(builder.parameters().add(name + ".out.bias", {shape_.channels}, nn::Initial::zeros())) {}

Tensor NonLocal::operator()(const ops::Context& ctx, const Tensor& x, std::string_view place) const {
  expect_shape(x, {-1, -1, -1, shape_.channels}, "non-local block: x [N, H, W, C]");
  const std::int64_t N = x.dim(0), P = x.dim(1) * x.dim(2), D = shape_.inner;
  const Tensor rows = x.reshape({N * P, shape_.channels}), matrix = theta_phi_g_(ctx, rows);
  Tensor y;
  if (shape_.form == NonLocalForm::embedded_gaussian) {
    const auto pixels = images(N, P);
    y = ops::attention(ctx, {matrix, 0}, {matrix, D}, {matrix, 2 * D}, pixels, pixels,
                       {.key_width = D, .value_width = D, .scale = 1.0f, .dropping = {}, .place = place});
  } else {
    const Projections projections{N, P, D};
    y = dot_product(ctx, projections, matrix);
    if (ctx.recorder && ctx.recorder->wants(place))
      ctx.recorder->attention(place, dot_weights(ctx.exec, projections, matrix));
  }
  const Tensor z = ops::linear(ctx, y, out_weight_->value, out_bias_->value);
  return ops::add_residual(ctx, z, rows).reshape(x.shape());
}

}  // namespace fovea::attention
