#pragma once

#include <string>
#include <vector>

#include "fovea/nn/layers.h"
#include "fovea/ops/copy_mixture.h"

namespace fovea::models {

/// How much of each step's token is generated, the rest being copied from the source (ops/copy_mixture.h):
///   p_gen = sigmoid(w_s s + w_c c + w_x x + b),   s the decoder's state, c its context, x its input
/// Source   See, Liu, Manning 2017, equation 8
class CopyGate {
 public:
  /// Widths of s, c and x.
  CopyGate(nn::Builder& builder, const std::string& name, std::int64_t H, std::int64_t M, std::int64_t E);

  /// p_gen [N, 1] of states [N, H], contexts [N, M] and inputs [N, E].
  Tensor operator()(const ops::Context& ctx, const Tensor& s_NH, const Tensor& c_NM,
                    const Tensor& x_NE) const;

 private:
  nn::Linear state_, context_, input_;
};

/// Where the rows of a decoder copy from: row r from source r of `sources`, rows of the encoder's output.
struct CopyView {
  ops::CopySourcePtr tokens;  ///< of all sources; none: nothing is copied
  std::shared_ptr<const ops::Sequences> sources;
  std::vector<std::int32_t> ids = {};  ///< decoding: what `tokens` was made of
};

}  // namespace fovea::models
