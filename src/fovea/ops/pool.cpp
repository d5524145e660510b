#include "fovea/ops/pool.h"

#include <algorithm>
#include <string>

#include "fovea/kernels/pool.h"

namespace fovea::ops {
namespace {

constexpr std::int64_t most_places = std::int64_t{1} << 24;  // what kernels/pool.h can count

float* zeroed_target(const Tensor& tensor) {
  const auto target = gradient_target(tensor);
  if (!target.accumulate) std::fill_n(target.data, tensor.elements(), 0.0f);
  return target.data;
}

PixelPools pools(const Context& ctx, const Tensor& x, bool with_maximum) {
  expect_shape(x, {-1, -1, -1, -1}, "pooling: x [N, H, W, C]");
  const std::int64_t N = x.dim(0), P = x.dim(1) * x.dim(2), C = x.dim(3);
  if (P >= most_places)
    throw Error(Error::Kind::bug, "pooling", "images of " + x.shape().text() + " have too many pixels");
  PixelPools out{Tensor::empty({N, C}), with_maximum ? Tensor::empty({N, C}) : Tensor()};
  const Tensor which = with_maximum ? Tensor::empty({N, C}, DType::i32) : Tensor();
  kernels::pool_pixels(ctx.exec, N, P, C, x.f32(), out.average.f32(),
                       with_maximum ? out.maximum.f32() : nullptr, with_maximum ? which.i32() : nullptr);
  if (!ctx.records({&x})) return out;
  require_grad(out.average);
  if (with_maximum) require_grad(out.maximum);
  ctx.tape->record([exec = ctx.exec, x, out, which, N, P, C] {
    const Tensor d_average = arrived_gradient(out.average);
    const Tensor d_maximum = out.maximum.defined() ? arrived_gradient(out.maximum) : Tensor();
    if (!d_average.defined() && !d_maximum.defined()) return;
    kernels::pool_pixels_backward(exec, N, P, C, d_average.defined() ? d_average.f32() : nullptr,
                                  d_maximum.defined() ? d_maximum.f32() : nullptr,
                                  which.defined() ? which.i32() : nullptr, zeroed_target(x));
  });
  return out;
}

}  // namespace

PixelPools pool_pixels(const Context& ctx, const Tensor& x_NHWC) { return pools(ctx, x_NHWC, true); }

Tensor average_pixels(const Context& ctx, const Tensor& x_NHWC) { return pools(ctx, x_NHWC, false).average; }

Tensor pool_channels(const Context& ctx, const Tensor& x) {
  expect_shape(x, {-1, -1, -1, -1}, "pooling: x [N, H, W, C]");
  const std::int64_t rows = x.dim(0) * x.dim(1) * x.dim(2), C = x.dim(3);
  if (C < 1 || C >= most_places)
    throw Error(Error::Kind::bug, "pooling", "C = " + std::to_string(C) + " channels of " + x.shape().text());
  Tensor y = Tensor::empty({x.dim(0), x.dim(1), x.dim(2), 2});
  const Tensor which = Tensor::empty({rows}, DType::i32);
  kernels::pool_channels(ctx.exec, rows, C, x.f32(), y.f32(), which.i32());
  if (!ctx.records({&x})) return y;
  require_grad(y);
  ctx.tape->record([exec = ctx.exec, x, y, which, rows, C] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    kernels::pool_channels_backward(exec, rows, C, d_y.f32(), which.i32(), zeroed_target(x));
  });
  return y;
}

}  // namespace fovea::ops
