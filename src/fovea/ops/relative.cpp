#include "fovea/ops/relative.h"

#include <algorithm>

#include "fovea/kernels/gemm.h"

namespace fovea::ops {
namespace {

// Throws unless r is [2R + 1, E]; returns R.
std::int64_t reach_of(const Tensor& r, std::int64_t width, const char* where) {
  expect_shape(r, {-1, width}, where);
  if (r.dim(0) % 2 == 1) return r.dim(0) / 2;
  throw Error(Error::Kind::bug, where, r.shape().text() + " has not an odd number of distances 2R + 1");
}

float* sums_of(const Tensor& tensor) {
  const auto target = gradient_target(tensor);
  if (!target.accumulate) std::fill_n(target.data, tensor.elements(), 0.0f);
  return target.data;
}

// The three products of one operation: rows [N, heads, E] with stride, by_distance [N, heads, D], r [D, E].
struct Products {
  const kernels::Execution& exec;
  std::int64_t N, heads, E, D, row_stride;

  kernels::GemmExtents extents(std::int64_t M, std::int64_t columns, std::int64_t K) const {
    kernels::GemmExtents x;
    x.M = M, x.N = columns, x.K = K;
    return x;
  }
  // by_distance = rows r^T
  void by_distance(const float* rows, const float* r, float* out) const {
    kernels::GemmExtents x = extents(N, D, E);
    x.lda = row_stride, x.ldb = E, x.ldc = heads * D, x.transpose_b = true;
    for (std::int64_t h = 0; h < heads; ++h) kernels::gemm(exec, x, rows + h * E, r, out + h * D);
  }
  // rows += by_distance r
  void rows(const float* by, const float* r, float* out) const {
    kernels::GemmExtents x = extents(N, E, D);
    x.lda = heads * D, x.ldb = E, x.ldc = row_stride;
    for (std::int64_t h = 0; h < heads; ++h)
      kernels::gemm(exec, x, by + h * D, r, out + h * E, {.accumulate = true});
  }
  // r += by_distance^T rows, summed over heads
  void distances(const float* by, const float* rows, float* out) const {
    kernels::GemmExtents x = extents(D, E, N);
    x.lda = heads * D, x.ldb = row_stride, x.ldc = E, x.transpose_a = true;
    for (std::int64_t h = 0; h < heads; ++h)
      kernels::gemm(exec, x, by + h * D, rows + h * E, out, {.accumulate = true});
  }
};

void scale(Tensor& tensor, float factor) {
  if (factor != 1.0f)
    for (float& value : tensor.values()) value *= factor;
}

}  // namespace

Tensor add_relative_keys(const Context& ctx, const Tensor& scores, const PackedHeads& q, const Tensor& rK,
                         const PairsPtr& pairs, const ClippedRelative& options) {
  pairs->expect(scores, "add_relative_keys: scores");
  pairs->expect_query_rows(q.matrix, "add_relative_keys: q");
  const kernels::ClippedDistances distances{options.alignment,
                                            reach_of(rK, options.width, "add_relative_keys: rK [2R+1, E]")};
  const std::int64_t H = pairs->heads(), N = pairs->query_rows(), D = rK.dim(0);
  if (q.matrix.shape().rank() != 2 || q.first < 0 || q.first + H * options.width > q.matrix.dim(1))
    throw Error(
        Error::Kind::bug, "add_relative_keys: q",
        "heads of width E = " + std::to_string(options.width) + " do not fit in " + q.matrix.shape().text());
  const auto products = [=, stride = q.matrix.dim(1), E = options.width](const kernels::Execution& exec) {
    return Products{exec, N, H, E, D, stride};
  };
  Tensor by_distance = Tensor::empty({N, H, D}), out = scores.clone();
  products(ctx.exec).by_distance(q.matrix.f32() + q.first, rK.f32(), by_distance.f32());
  scale(by_distance, options.scale);
  kernels::spread_by_distance(ctx.exec, pairs->extents(), distances, by_distance.f32(), out.f32());
  if (!ctx.records({&scores, &q.matrix, &rK})) return out;

  require_grad(out);
  ctx.tape->record([=, exec = ctx.exec, factor = options.scale] {
    const Tensor d_out = arrived_gradient(out);
    if (!d_out.defined()) return;
    Tensor d_by = Tensor::zeros({N, H, D});
    kernels::gather_by_distance(exec, pairs->extents(), distances, d_out.f32(), d_by.f32());
    scale(d_by, factor);
    if (q.matrix.requires_grad()) products(exec).rows(d_by.f32(), rK.f32(), sums_of(q.matrix) + q.first);
    if (rK.requires_grad()) products(exec).distances(d_by.f32(), q.matrix.f32() + q.first, sums_of(rK));
    give_gradient(scores, d_out);
  });
  return out;
}

Tensor add_relative_values(const Context& ctx, const Tensor& context, const Tensor& weights, const Tensor& rV,
                           const PairsPtr& pairs, const ClippedRelative& options) {
  pairs->expect(weights, "add_relative_values: weights");
  const kernels::ClippedDistances distances{
      options.alignment, reach_of(rV, options.width, "add_relative_values: rV [2R+1, Ev]")};
  const std::int64_t H = pairs->heads(), D = rV.dim(0), E = options.width, N = pairs->query_rows();
  expect_shape(context, {-1, H * E}, "add_relative_values: context [N_q, H*Ev]");
  pairs->expect_query_rows(context, "add_relative_values: context");
  const auto products = [=](const kernels::Execution& exec) { return Products{exec, N, H, E, D, H * E}; };
  Tensor by_distance = Tensor::zeros({N, H, D}), out = context.clone();
  kernels::gather_by_distance(ctx.exec, pairs->extents(), distances, weights.f32(), by_distance.f32());
  products(ctx.exec).rows(by_distance.f32(), rV.f32(), out.f32());
  if (!ctx.records({&context, &weights, &rV})) return out;

  require_grad(out);
  ctx.tape->record([=, exec = ctx.exec] {
    const Tensor d_out = arrived_gradient(out);
    if (!d_out.defined()) return;
    if (rV.requires_grad()) products(exec).distances(by_distance.f32(), d_out.f32(), sums_of(rV));
    if (weights.requires_grad()) {
      Tensor d_by = Tensor::empty({N, H, D}), d_weights = Tensor::zeros(weights.shape());
      products(exec).by_distance(d_out.f32(), rV.f32(), d_by.f32());
      kernels::spread_by_distance(exec, pairs->extents(), distances, d_by.f32(), d_weights.f32());
      give_gradient(weights, d_weights);
    }
    give_gradient(context, d_out);
  });
  return out;
}

}  // namespace fovea::ops
