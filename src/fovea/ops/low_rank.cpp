#include "fovea/ops/low_rank.h"

#include "fovea/kernels/dropout.h"
#include "fovea/kernels/gemm.h"

namespace fovea::ops {
namespace {

void multiply(const Tensor& x, float factor) {
  if (factor == 1.0f) return;
  for (float& value : x.values()) value *= factor;
}

// dropout(x) of N rows: in memory of its own, or x itself.
const float* dropped(const kernels::Execution& exec, const Dropout& dropout, std::int64_t elements,
                     const float* x, Tensor& room) {
  if (!dropout.active()) return x;
  room = Tensor::empty({elements});
  kernels::residual_dropout(exec, elements, dropout, x, nullptr, room.f32());
  return room.f32();
}

// d_x += dropout(d_u A)
void give_x(const kernels::Execution& exec, const LowRank& term, const Dropout& dropout, const Tensor& x,
            const Tensor& d_u) {
  const std::int64_t N = x.dim(0), in = x.dim(1), r = term.rank();
  const kernels::GemmExtents extents{.M = N, .N = in, .K = r, .lda = r, .ldb = in, .ldc = in};
  const auto d_x = gradient_target(x);
  if (!dropout.active())
    return kernels::gemm(exec, extents, d_u.f32(), term.A.f32(), d_x.data, {.accumulate = d_x.accumulate});
  const Tensor share = Tensor::empty(x.shape());
  kernels::gemm(exec, extents, d_u.f32(), term.A.f32(), share.f32());
  kernels::residual_dropout(exec, share.elements(), dropout, share.f32(), d_x.accumulate ? d_x.data : nullptr,
                            d_x.data);
}

}  // namespace

void expect_fitting(const LowRank& term, const Tensor& W) {
  expect_shape(term.A, {-1, W.dim(1)}, "adapter: A [r, in]");
  expect_shape(term.B, {-1, term.rank()}, "adapter: B [out, r]");
  if (term.first < 0 || term.first + term.B.dim(0) > W.dim(0))
    throw Error(Error::Kind::bug, "adapter",
                "B " + term.B.shape().text() + " at column " + std::to_string(term.first) +
                    " is beyond the output of W " + W.shape().text());
}

Tensor add_low_rank(const Context& ctx, const LowRank& term, std::int64_t N, const float* x,
                    const Columns& y) {
  const std::int64_t in = term.A.dim(1), out = term.B.dim(0), r = term.rank();
  Tensor room;
  const float* input = dropped(ctx.exec, ctx.dropout(term.dropping.p, term.dropping.site), N * in, x, room);
  Tensor u = Tensor::empty({N, r});
  kernels::gemm(ctx.exec, {.M = N, .N = r, .K = in, .lda = in, .ldb = in, .ldc = r, .transpose_b = true},
                input, term.A.f32(), u.f32());
  multiply(u, term.scale);
  kernels::gemm(ctx.exec,
                {.M = N, .N = out, .K = r, .lda = r, .ldb = r, .ldc = y.stride, .transpose_b = true}, u.f32(),
                term.B.f32(), y.data + term.first, {.accumulate = true});
  return u;
}

void low_rank_backward(const kernels::Execution& exec, const LowRank& term, const Dropout& dropout,
                       const Tensor& x, const Tensor& u, const Columns& d_y) {
  const std::int64_t N = x.dim(0), in = x.dim(1), out = term.B.dim(0), r = term.rank();
  const float* d_out = d_y.data + term.first;
  if (term.B.requires_grad()) {
    const auto d_B = gradient_target(term.B);
    kernels::gemm(exec,
                  {.M = out, .N = r, .K = N, .lda = d_y.stride, .ldb = r, .ldc = r, .transpose_a = true},
                  d_out, u.f32(), d_B.data, {.accumulate = d_B.accumulate});
  }
  if (!term.A.requires_grad() && !x.requires_grad()) return;
  const Tensor d_u = Tensor::empty({N, r});
  kernels::gemm(exec, {.M = N, .N = r, .K = out, .lda = d_y.stride, .ldb = r, .ldc = r}, d_out, term.B.f32(),
                d_u.f32());
  multiply(d_u, term.scale);
  if (term.A.requires_grad()) {
    Tensor room;
    const float* input = dropped(exec, dropout, N * in, x.f32(), room);
    const auto d_A = gradient_target(term.A);
    kernels::gemm(exec, {.M = r, .N = in, .K = N, .lda = r, .ldb = in, .ldc = in, .transpose_a = true},
                  d_u.f32(), input, d_A.data, {.accumulate = d_A.accumulate});
  }
  if (x.requires_grad()) give_x(exec, term, dropout, x, d_u);
}

}  // namespace fovea::ops
