#pragma once

#include <memory>
#include <string>

#include "fovea/nn/conv.h"
#include "fovea/ops/attention.h"

namespace fovea::attention {

struct PatchShape {
  std::int64_t channels = 3;     ///< C of the images
  std::int64_t patch = 16;       ///< p, pixels on a side
  std::int64_t width = 0;        ///< D
  std::int64_t grid_height = 0;  ///< patches that positions are learned for
  std::int64_t grid_width = 0;
  bool class_token = true;  ///< a learned row before the patches, whose end state stands for the image
};

/// Images as sentences: the rows of a packed batch and which of them are whose.
struct PatchRows {
  Tensor rows;  ///< [N * (patches + class token), D]
  std::shared_ptr<const ops::Sequences> sequences;
};

/// Images cut into patches of p x p pixels, each a token.
///   rows[n] = [class; patch_1 E; ...; patch_P E] + positions,  a patch is its p*p*C numbers
/// The product with E is a convolution of kernel and stride p. For a grid other than the learned one the
/// positions of patches are interpolated linearly, corner on corner; the class token keeps its own.
/// Shapes       x [N, H, W, C], p divides H and W (else Error(data))
/// Parameters   NAME.projection [D, p, p, C], NAME.class_token [D], NAME.positions [1 + grid, D]
/// Source       Dosovitskiy et al. 2021, section 3.1, equation (1), and 3.2 (interpolation)
class PatchEmbedding {
 public:
  PatchEmbedding(nn::Builder& builder, const std::string& name, const PatchShape& shape);
  PatchRows operator()(const ops::Context& ctx, const Tensor& x_NHWC) const;

 private:
  PatchShape shape_;
  nn::Conv2d projection_;
  nn::Parameter* class_token_ = nullptr;
  nn::Parameter* positions_;
};

/// Learned positions [fixed + height*width, D] for another grid: the first `fixed` rows as they are, then
/// those of new_height x new_width patches, bilinear between the old ones, corner on corner (as
/// scipy.ndimage.zoom of order 1, which the authors used). The same grid gives the table itself. With
/// gradient.
Tensor resample_positions(const ops::Context& ctx, const Tensor& positions, std::int64_t fixed,
                          std::int64_t height, std::int64_t width, std::int64_t new_height,
                          std::int64_t new_width);

}  // namespace fovea::attention
