#include "fovea/attention/spatial.h"

#include "fovea/base/error.h"
#include "fovea/ops/elementwise.h"
#include "fovea/ops/pool.h"

namespace fovea::attention {
namespace {

constexpr ops::LinearOptions with_relu{.activation = kernels::Activation::relu};

/// C/r, the width between the two products of a channel branch.
std::int64_t reduced(const std::string& name, std::int64_t channels, std::int64_t reduction) {
  if (channels >= 1 && reduction >= 1 && reduction <= channels) return channels / reduction;
  throw Error(Error::Kind::model, name,
              "C = " + std::to_string(channels) +
                  " channels cannot be reduced r = " + std::to_string(reduction) + " times",
              "take r between 1 and C");
}

std::int64_t odd(const std::string& name, std::int64_t kernel) {
  if (kernel >= 1 && kernel % 2 == 1) return kernel;
  throw Error(Error::Kind::model, name, "a kernel of " + std::to_string(kernel) + " pixels has no middle",
              "take an odd number");
}

/// x [N, H, W, C] times a map that is repeated over pixels [N, 1, C] or channels [N, H*W, 1].
Tensor scaled(const ops::Context& ctx, const Tensor& x, const Tensor& map) {
  const Tensor rows = x.reshape({x.dim(0), x.dim(1) * x.dim(2), x.dim(3)});
  return ops::multiply(ctx, rows, map).reshape(x.shape());
}

Tensor over_pixels(const Tensor& map_NC) { return map_NC.reshape({map_NC.dim(0), 1, map_NC.dim(1)}); }

Tensor over_channels(const Tensor& map_NHW1) {
  return map_NHW1.reshape({map_NHW1.dim(0), map_NHW1.dim(1) * map_NHW1.dim(2), 1});
}

}  // namespace

void record_map(const ops::Context& ctx, std::string_view place, std::string_view part, const Tensor& map) {
  if (!ctx.recorder) return;
  const std::string name = place.empty() ? std::string(part) : std::string(place) + "." + std::string(part);
  if (ctx.recorder->wants(name)) ctx.recorder->attention(name, map.detached());
}

SqueezeExcitation::SqueezeExcitation(nn::Builder& builder, const std::string& name, std::int64_t channels,
                                     std::int64_t reduction)
    : narrow_(builder, name + ".fc1", channels, reduced(name, channels, reduction)),
      widen_(builder, name + ".fc2", reduced(name, channels, reduction), channels) {}

Tensor SqueezeExcitation::map(const ops::Context& ctx, const Tensor& x) const {
  return ops::sigmoid(ctx, widen_(ctx, narrow_(ctx, ops::average_pixels(ctx, x), with_relu)));
}

Tensor SqueezeExcitation::operator()(const ops::Context& ctx, const Tensor& x, std::string_view place) const {
  const Tensor s = map(ctx, x);
  record_map(ctx, place, "channel", s);
  return scaled(ctx, x, over_pixels(s));
}

ChannelAttention::ChannelAttention(nn::Builder& builder, const std::string& name, std::int64_t channels,
                                   std::int64_t reduction)
    : narrow_(builder, name + ".fc1", channels, reduced(name, channels, reduction)),
      widen_(builder, name + ".fc2", reduced(name, channels, reduction), channels) {}

Tensor ChannelAttention::map(const ops::Context& ctx, const Tensor& x) const {
  const auto pools = ops::pool_pixels(ctx, x);
  const auto mlp = [&](const Tensor& z) { return widen_(ctx, narrow_(ctx, z, with_relu)); };
  return ops::sigmoid(ctx, ops::add(ctx, mlp(pools.average), mlp(pools.maximum)));
}

Tensor ChannelAttention::operator()(const ops::Context& ctx, const Tensor& x, std::string_view place) const {
  const Tensor M_c = map(ctx, x);
  record_map(ctx, place, "channel", M_c);
  return scaled(ctx, x, over_pixels(M_c));
}

SpatialAttention::SpatialAttention(nn::Builder& builder, const std::string& name, std::int64_t kernel)
    : conv_(builder, name + ".conv",
            {.in = 2, .out = 1, .kernel = odd(name, kernel), .options = nn::ConvShape::same(kernel)}) {}

Tensor SpatialAttention::map(const ops::Context& ctx, const Tensor& x) const {
  return ops::sigmoid(ctx, conv_(ctx, ops::pool_channels(ctx, x)));
}

Tensor SpatialAttention::operator()(const ops::Context& ctx, const Tensor& x, std::string_view place) const {
  const Tensor M_s = map(ctx, x);
  record_map(ctx, place, "spatial", M_s);
  return scaled(ctx, x, over_channels(M_s));
}

Bam::Bam(nn::Builder& builder, const std::string& name, const BamShape& shape)
    : narrow_(builder, name + ".fc1", shape.channels, reduced(name, shape.channels, shape.reduction)),
      widen_(builder, name + ".fc2", reduced(name, shape.channels, shape.reduction), shape.channels),
      channel_norm_(builder, name + ".channel_norm", shape.channels),
      reduce_(builder, name + ".conv0", {.in = shape.channels, .out = shape.channels / shape.reduction}),
      first_(builder, name + ".conv1",
             {.in = shape.channels / shape.reduction,
              .out = shape.channels / shape.reduction,
              .kernel = 3,
              .options = nn::ConvShape::same(3, shape.dilation)}),
      second_(builder, name + ".conv2",
              {.in = shape.channels / shape.reduction,
               .out = shape.channels / shape.reduction,
               .kernel = 3,
               .options = nn::ConvShape::same(3, shape.dilation)}),
      last_(builder, name + ".conv3", {.in = shape.channels / shape.reduction, .out = 1}),
      spatial_norm_(builder, name + ".spatial_norm", 1) {}

Tensor Bam::operator()(const ops::Context& ctx, const Tensor& x, std::string_view place) const {
  const auto relu = [&](const Tensor& t) { return ops::activate(ctx, t, kernels::Activation::relu); };
  const Tensor M_c = channel_norm_(ctx, widen_(ctx, narrow_(ctx, ops::average_pixels(ctx, x), with_relu)));
  const Tensor M_s =
      spatial_norm_(ctx, last_(ctx, relu(second_(ctx, relu(first_(ctx, relu(reduce_(ctx, x))))))));
  const Tensor M = ops::sigmoid(ctx, ops::add(ctx, over_pixels(M_c), over_channels(M_s)));
  record_map(ctx, place, "bam", M);
  const Tensor rows = x.reshape(M.shape());
  return ops::add(ctx, rows, ops::multiply(ctx, rows, M)).reshape(x.shape());
}

}  // namespace fovea::attention
