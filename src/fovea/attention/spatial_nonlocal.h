#pragma once

#include <string>
#include <string_view>

#include "fovea/nn/layers.h"

namespace fovea::attention {

/// How a non-local block weighs pixel j for pixel i.
enum class NonLocalForm {
  embedded_gaussian,  ///< softmax_j(theta_i . phi_j): self-attention, tiled, no [pixels, pixels] in memory
  dot_product,        ///< theta_i . phi_j / pixels: linear, so y = theta (phi^T g) / pixels, linear in pixels
};

struct NonLocalShape {
  std::int64_t channels = 0;  ///< C
  std::int64_t inner = 0;     ///< of theta, phi and g; 0: C/2, as in the paper
  NonLocalForm form = NonLocalForm::embedded_gaussian;
};

/// Every pixel looks at every pixel of its image, beside the image itself.
///   theta = W_theta x, phi = W_phi x, g = W_g x;  y_i = sum_j w(i,j) g_j;  z = W_z y + x
/// W_z begins at zero, so the block begins as the identity and can be put into a trained network.
/// Shapes       x [N, H, W, C] -> [N, H, W, C]
/// Parameters   NAME.theta, NAME.phi, NAME.g [inner, C] (one matrix), NAME.out [C, inner]
/// Recorder     PLACE: w, an image after another, each [1, H*W, H*W]
/// Source       Wang et al. 2018, equations (1), (4), (6)
class NonLocal {
 public:
  NonLocal(nn::Builder& builder, const std::string& name, const NonLocalShape& shape);
  Tensor operator()(const ops::Context& ctx, const Tensor& x_NHWC, std::string_view place = {}) const;

 private:
  NonLocalShape shape_;
  nn::Linear theta_phi_g_;
  nn::Parameter* out_weight_;
  nn::Parameter* out_bias_;
};

}  // namespace fovea::attention
