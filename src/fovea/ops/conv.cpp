#include "fovea/ops/conv.h"

#include <algorithm>
#include <string>

#include "fovea/kernels/column_sum.h"
#include "fovea/kernels/conv.h"

namespace fovea::ops {
namespace {

using kernels::ConvExtents;

void expect_sane(const ConvExtents& e, const Tensor& x, const Tensor& W) {
  const std::string shapes = "x [N, H, W, C] " + x.shape().text() + " and W " + W.shape().text();
  if (e.stride < 1 || e.padding < 0 || e.dilation < 1 || e.KH < 1 || e.KW < 1)
    throw Error(Error::Kind::bug, "convolution",
                "stride " + std::to_string(e.stride) + ", padding " + std::to_string(e.padding) +
                    ", dilation " + std::to_string(e.dilation) + " with " + shapes);
  if (e.H + 2 * e.padding < e.dilation * (e.KH - 1) + 1 || e.W + 2 * e.padding < e.dilation * (e.KW - 1) + 1)
    throw Error(Error::Kind::bug, "convolution",
                "the kernel is larger than the padded image: " + shapes + ", padding " +
                    std::to_string(e.padding) + ", dilation " + std::to_string(e.dilation));
}

/// The kernels of one kind of convolution.
struct Kind {
  decltype(kernels::conv_forward)* forward;
  decltype(kernels::conv_backward_input)* backward_input;
  decltype(kernels::conv_backward_weight)* backward_weight;
};
constexpr Kind full{kernels::conv_forward, kernels::conv_backward_input, kernels::conv_backward_weight};
constexpr Kind depthwise{kernels::depthwise_forward, kernels::depthwise_backward_input,
                         kernels::depthwise_backward_weight};

float* zeroed_target(const Tensor& tensor) {
  const auto target = gradient_target(tensor);
  if (!target.accumulate) std::fill_n(target.data, tensor.elements(), 0.0f);
  return target.data;
}

Tensor convolve(const Context& ctx, const Kind& kind, const ConvExtents& e, const Tensor& x, const Tensor& W,
                const Tensor& b) {
  expect_sane(e, x, W);
  if (b.defined()) expect_shape(b, {e.O}, "convolution: b [O]");
  Tensor y = Tensor::empty({e.N, e.out_height(), e.out_width(), e.O});
  kind.forward(ctx.exec, e, x.f32(), W.f32(), b.defined() ? b.f32() : nullptr, y.f32());
  if (!ctx.records({&x, &W, &b})) return y;
  require_grad(y);
  ctx.tape->record([exec = ctx.exec, kind, e, x, W, b, y] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    if (x.requires_grad()) kind.backward_input(exec, e, W.f32(), d_y.f32(), zeroed_target(x));
    if (W.requires_grad()) kind.backward_weight(exec, e, x.f32(), d_y.f32(), zeroed_target(W));
    if (b.requires_grad())
      kernels::column_sum(exec, d_y.elements() / std::max<std::int64_t>(1, e.O), e.O, d_y.f32(),
                          zeroed_target(b));
  });
  return y;
}

ConvExtents image_of(const Tensor& x, const ConvOptions& options) {
  expect_shape(x, {-1, -1, -1, -1}, "convolution: x [N, H, W, C]");
  return {.N = x.dim(0),
          .H = x.dim(1),
          .W = x.dim(2),
          .C = x.dim(3),
          .stride = options.stride,
          .padding = options.padding,
          .dilation = options.dilation};
}

}  // namespace

Tensor conv2d(const Context& ctx, const Tensor& x, const Tensor& W, const Tensor& b,
              const ConvOptions& options) {
  ConvExtents e = image_of(x, options);
  expect_shape(W, {-1, -1, -1, e.C}, "convolution: W [O, KH, KW, C]");
  e.O = W.dim(0), e.KH = W.dim(1), e.KW = W.dim(2);
  return convolve(ctx, full, e, x, W, b);
}

Tensor depthwise_conv2d(const Context& ctx, const Tensor& x, const Tensor& W, const Tensor& b,
                        const ConvOptions& options) {
  ConvExtents e = image_of(x, options);
  expect_shape(W, {-1, -1, e.C}, "depthwise convolution: W [KH, KW, C]");
  e.O = e.C, e.KH = W.dim(0), e.KW = W.dim(1);
  return convolve(ctx, depthwise, e, x, W, b);
}

}  // namespace fovea::ops
