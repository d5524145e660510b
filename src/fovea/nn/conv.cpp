#include "fovea/nn/conv.h"

namespace fovea::nn {

Conv2d::Conv2d(Builder& builder, const std::string& name, const ConvShape& shape) : options_(shape.options) {
  const std::int64_t area = shape.kernel * shape.kernel;
  weight_ = builder.parameters().add(name + ".weight", {shape.out, shape.kernel, shape.kernel, shape.in},
                                     Initial::xavier(area * shape.in, area * shape.out));
  if (shape.bias) bias_ = builder.parameters().add(name + ".bias", {shape.out}, Initial::zeros());
}

Tensor channels_last(const Tensor& weight) {
  expect_shape(weight, {-1, -1, -1, -1}, "convolution: weight [O, C, KH, KW]");
  const std::int64_t O = weight.dim(0), C = weight.dim(1), taps = weight.dim(2) * weight.dim(3);
  Tensor out = Tensor::empty({O, weight.dim(2), weight.dim(3), C});
  for (std::int64_t o = 0; o < O; ++o)
    for (std::int64_t c = 0; c < C; ++c)
      for (std::int64_t tap = 0; tap < taps; ++tap)
        out.f32()[(o * taps + tap) * C + c] = weight.f32()[(o * C + c) * taps + tap];
  return out;
}

BatchNorm::BatchNorm(Builder& builder, const std::string& name, std::int64_t channels,
                     ops::BatchNormOptions options)
    : gamma_(builder.parameters().add(name + ".weight", {channels}, Initial::ones())),
      beta_(builder.parameters().add(name + ".bias", {channels}, Initial::zeros())),
      running_{Tensor::zeros({channels}), Tensor::full({channels}, 1.0f)},
      options_(options) {}

}  // namespace fovea::nn
