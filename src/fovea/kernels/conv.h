#pragma once

#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// A convolution (in the sense of learning: no flip) of images with channels last.
///   y[n,i,j,o] = bias[o] + sum_{u,v,c} W[o,u,v,c] x[n, i*stride - padding + u*dilation,
///                                                     j*stride - padding + v*dilation, c]
/// where pixels outside the image are zero. x [N,H,W,C], W [O,KH,KW,C], y [N,out_height,out_width,O].
struct ConvExtents {
  std::int64_t N = 0, H = 0, W = 0, C = 0;
  std::int64_t O = 0, KH = 1, KW = 1;
  std::int64_t stride = 1, padding = 0, dilation = 1;

  std::int64_t out_height() const { return (H + 2 * padding - dilation * (KH - 1) - 1) / stride + 1; }
  std::int64_t out_width() const { return (W + 2 * padding - dilation * (KW - 1) - 1) / stride + 1; }
  std::int64_t patch() const { return KH * KW * C; }  ///< K: numbers that one output looks at
  /// Every output looks at one pixel, its own: a product of matrices, no patches.
  bool pointwise() const { return KH == 1 && KW == 1 && stride == 1 && padding == 0; }
};

/// Products of patches and W, a few lines of the output at a time: at most 4 MB of patches (or one line) at
/// once, in slot 5 of the workspace. bias may be null. The bits of y and d_x do not depend on the other images
/// or on threads; those of d_W not on threads.
void conv_forward(const Execution& exec, const ConvExtents& extents, const float* x, const float* W,
                  const float* bias, float* y);

/// d_x += the gradient of x.
void conv_backward_input(const Execution& exec, const ConvExtents& extents, const float* W, const float* d_y,
                         float* d_x);

/// d_W += the gradient of W (that of bias is the column sum of d_y).
void conv_backward_weight(const Execution& exec, const ConvExtents& extents, const float* x, const float* d_y,
                          float* d_W);

/// Depthwise: every channel by itself, O = C, W [KH,KW,C]. No patches are made.
void depthwise_forward(const Execution& exec, const ConvExtents& extents, const float* x, const float* W,
                       const float* bias, float* y);
void depthwise_backward_input(const Execution& exec, const ConvExtents& extents, const float* W,
                              const float* d_y, float* d_x);
void depthwise_backward_weight(const Execution& exec, const ConvExtents& extents, const float* x,
                               const float* d_y, float* d_W);

}  // namespace fovea::kernels
