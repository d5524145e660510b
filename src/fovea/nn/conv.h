#pragma once

#include <string>

#include "fovea/nn/layers.h"
#include "fovea/ops/batch_norm.h"
#include "fovea/ops/conv.h"

namespace fovea::nn {

struct ConvShape {
  std::int64_t in = 0, out = 0;  ///< channels
  std::int64_t kernel = 1;       ///< pixels on a side
  ops::ConvOptions options = {};
  bool bias = true;

  /// Padding that keeps an image's size at stride 1, for an odd kernel.
  static ops::ConvOptions same(std::int64_t kernel, std::int64_t dilation = 1) {
    return {.stride = 1, .padding = dilation * (kernel - 1) / 2, .dilation = dilation};
  }
};

/// Convolution of images with channels last; weight [out, kernel, kernel, in] begins by Glorot and Bengio's
/// rule, bias at zero.
class Conv2d {
 public:
  Conv2d(Builder& builder, const std::string& name, const ConvShape& shape);

  Tensor operator()(const ops::Context& ctx, const Tensor& x_NHWC) const {
    return ops::conv2d(ctx, x_NHWC, weight_->value, bias_ ? bias_->value : Tensor(), options_);
  }

 private:
  Parameter* weight_;
  Parameter* bias_ = nullptr;
  ops::ConvOptions options_;
};

/// A weight [O, C, KH, KW], as PyTorch stores it, in the order [O, KH, KW, C] of ours.
Tensor channels_last(const Tensor& weight_OCHW);

/// Batch normalisation with a learned scale (begins at 1) and shift (at 0), and the running moments that
/// inference uses. They are no parameters: whoever stores the model stores moments() beside them.
class BatchNorm {
 public:
  BatchNorm(Builder& builder, const std::string& name, std::int64_t channels,
            ops::BatchNormOptions options = {});

  /// Moves the running moments if ctx.training.
  Tensor operator()(const ops::Context& ctx, const Tensor& x) const {
    return ops::batch_norm(ctx, x, gamma_->value, beta_->value, running_, options_);
  }
  const ops::RunningMoments& moments() const { return running_; }

 private:
  Parameter* gamma_;
  Parameter* beta_;
  ops::RunningMoments running_;  // tensors share: the copy that is const still moves
  ops::BatchNormOptions options_;
};

}  // namespace fovea::nn
