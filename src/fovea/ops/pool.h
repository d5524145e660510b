#pragma once

#include "fovea/ops/context.h"

namespace fovea::ops {

/// Mean and largest of each channel over the pixels of an image, in one pass.
struct PixelPools {
  Tensor average, maximum;  ///< [N, C]
};

/// Shapes   x [N, H, W, C] -> [N, C] each
/// Edge     the gradient of a maximum goes to the first pixel that has it; an image without pixels: zeros
PixelPools pool_pixels(const Context& ctx, const Tensor& x_NHWC);

/// The mean alone ("squeeze"; global average pooling of Lin, Chen, Yan 2013).
Tensor average_pixels(const Context& ctx, const Tensor& x_NHWC);

/// (mean_c x, max_c x) of each pixel: [N, H, W, C] -> [N, H, W, 2].
Tensor pool_channels(const Context& ctx, const Tensor& x_NHWC);

}  // namespace fovea::ops
