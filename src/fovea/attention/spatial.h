#pragma once

#include <string>
#include <string_view>

#include "fovea/nn/conv.h"

namespace fovea::attention {

/// Attention that says which channels and which places of an image count. Images are [N, H, W, C], channels
/// last; every module returns an image of the same shape and hands its map to the recorder, if one wants it:
/// PLACE.channel as one row of C channels an image, PLACE.spatial as H rows of W columns.

/// Squeeze and excitation.
///   s = sigmoid(W_2 relu(W_1 mean_pixels(x) + b_1) + b_2);  y[n,h,w,c] = s[n,c] x[n,h,w,c]
/// Parameters   NAME.fc1 [C/r, C], NAME.fc2 [C, C/r]; Throws Error(model) unless 1 <= r <= C
/// Source       Hu, Shen, Sun 2018, equations (2) to (4)
class SqueezeExcitation {
 public:
  SqueezeExcitation(nn::Builder& builder, const std::string& name, std::int64_t channels,
                    std::int64_t reduction = 16);
  Tensor operator()(const ops::Context& ctx, const Tensor& x_NHWC, std::string_view place = {}) const;
  Tensor map(const ops::Context& ctx, const Tensor& x_NHWC) const;  ///< s [N, C]

 private:
  nn::Linear narrow_, widen_;
};

/// CBAM's channel attention: one network over the mean and the largest of each channel.
///   M_c = sigmoid(mlp(mean_pixels(x)) + mlp(max_pixels(x))),  mlp(z) = W_1 relu(W_0 z + b_0) + b_1
///   y = M_c x
/// Parameters   NAME.fc1 [C/r, C], NAME.fc2 [C, C/r]; Throws Error(model) unless 1 <= r <= C
/// Source       Woo et al. 2018, equation (2)
class ChannelAttention {
 public:
  ChannelAttention(nn::Builder& builder, const std::string& name, std::int64_t channels,
                   std::int64_t reduction = 16);
  Tensor operator()(const ops::Context& ctx, const Tensor& x_NHWC, std::string_view place = {}) const;
  Tensor map(const ops::Context& ctx, const Tensor& x_NHWC) const;  ///< M_c [N, C]

 private:
  nn::Linear narrow_, widen_;
};

/// Spatial attention: where to look, from the mean and the largest over channels.
///   M_s = sigmoid(f([mean_c x; max_c x])),  f a k x k convolution;  y = M_s x
/// Parameters   NAME.conv [1, k, k, 2]; Throws Error(model) unless k is odd
/// Source       Woo et al. 2018, equation (3), k = 7 (the authors' program normalises f by batch)
class SpatialAttention {
 public:
  SpatialAttention(nn::Builder& builder, const std::string& name, std::int64_t kernel = 7);
  Tensor operator()(const ops::Context& ctx, const Tensor& x_NHWC, std::string_view place = {}) const;
  Tensor map(const ops::Context& ctx, const Tensor& x_NHWC) const;  ///< M_s [N, H, W, 1]

 private:
  nn::Conv2d conv_;
};

/// Convolutional block attention: channels, then places.
///   x' = M_c(x) x;  y = M_s(x') x'
/// Parameters   those of NAME.channel and NAME.spatial
/// Source       Woo et al. 2018, equation (1)
class Cbam {
 public:
  Cbam(nn::Builder& builder, const std::string& name, std::int64_t channels, std::int64_t reduction = 16,
       std::int64_t kernel = 7)
      : channel_(builder, name + ".channel", channels, reduction),
        spatial_(builder, name + ".spatial", kernel) {}
  Tensor operator()(const ops::Context& ctx, const Tensor& x_NHWC, std::string_view place = {}) const {
    return spatial_(ctx, channel_(ctx, x_NHWC, place), place);
  }

 private:
  ChannelAttention channel_;
  SpatialAttention spatial_;
};

struct BamShape {
  std::int64_t channels = 0;    ///< C
  std::int64_t reduction = 16;  ///< r
  std::int64_t dilation = 4;    ///< of the spatial branch's 3 x 3 convolutions
};

/// Bottleneck attention: both branches at once, beside the image itself.
///   M = sigmoid(M_c + M_s);  y = x + M x
///   M_c = BN(W_1 relu(W_0 mean_pixels(x) + b_0) + b_1)                  [N, 1, C]
///   M_s = BN(f_3(f_2(f_1(f_0(x)))))                                      [N, H*W, 1]
/// with f_0 1x1 to C/r channels, f_1 and f_2 3x3 dilated, f_3 1x1 to one channel, relu between them. The map
/// M goes to the recorder as PLACE.bam: H*W rows of C channels an image.
/// Parameters   NAME.fc1, NAME.fc2, NAME.channel_norm, NAME.conv0 to conv3, NAME.spatial_norm
/// Source       Park et al. 2018, equations (2) to (5) (the authors' program has a batch norm before each
/// relu
///              instead of the last ones)
class Bam {
 public:
  Bam(nn::Builder& builder, const std::string& name, const BamShape& shape);
  Tensor operator()(const ops::Context& ctx, const Tensor& x_NHWC, std::string_view place = {}) const;
  const ops::RunningMoments& channel_moments() const { return channel_norm_.moments(); }
  const ops::RunningMoments& spatial_moments() const { return spatial_norm_.moments(); }

 private:
  nn::Linear narrow_, widen_;
  nn::BatchNorm channel_norm_;
  nn::Conv2d reduce_, first_, second_, last_;
  nn::BatchNorm spatial_norm_;
};

/// Hands a map to the recorder as "place.part" if it wants it.
void record_map(const ops::Context& ctx, std::string_view place, std::string_view part, const Tensor& map);

}  // namespace fovea::attention
