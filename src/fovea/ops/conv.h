#pragma once

#include "fovea/ops/context.h"

namespace fovea::ops {

struct ConvOptions {
  std::int64_t stride = 1, padding = 0, dilation = 1;  ///< pixels, on both axes; padding on all four sides
};

/// y[n,i,j,o] = b[o] + sum_{u,v,c} W[o,u,v,c] x[n, i*stride - padding + u*dilation, j*stride - ..., c], zero
/// outside the image.
/// Shapes   x [N, H, W, C], channels last; W [O, KH, KW, C]; b [O] or undefined;
///          y [N, H', W', O], H' = floor((H + 2*padding - dilation*(KH-1) - 1) / stride) + 1
/// Cost     N*H'*W'*O*KH*KW*C multiply-adds; at most 4 MB beside the operands
/// Throws   Error(bug) naming the shapes if they disagree or the kernel is larger than the padded image
Tensor conv2d(const Context& ctx, const Tensor& x_NHWC, const Tensor& W, const Tensor& b,
              const ConvOptions& options = {});

/// The same with a kernel for each channel alone: W [KH, KW, C], b [C].
Tensor depthwise_conv2d(const Context& ctx, const Tensor& x_NHWC, const Tensor& W, const Tensor& b,
                        const ConvOptions& options = {});

}  // namespace fovea::ops
