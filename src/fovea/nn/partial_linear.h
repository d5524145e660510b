#pragma once

#include <cstdint>
#include <span>

#include "fovea/nn/parameters.h"
#include "fovea/ops/context.h"

namespace fovea::nn {

/// Some outputs of a linear layer, for inference: the rows of its weight and of its bias that they need,
/// packed anew.
///   y[:, i] = x . W[ids[i], :] + b[ids[i]]
/// An output has the bits that the whole layer gives it, in whatever form W is held (f32, bf16, i8).
class PartialLinear {
 public:
  /// W [out, in], b [out] or undefined; ids are rows of W, as many and in whatever order. Neither is needed
  /// afterwards. Throws Error(bug) for an id that is no row.
  PartialLinear(const kernels::Execution& exec, const Parameter& W, const Tensor& b,
                std::span<const std::int32_t> ids);

  std::int64_t outputs() const { return weights_.N(); }
  /// [N, outputs] of x [N, in]; ctx.exec has the kernels it was made with.
  Tensor operator()(const ops::Context& ctx, const Tensor& x) const;

 private:
  Tensor memory_, bias_;  // memory_: of weights_
  kernels::PackedLinear weights_;
};

}  // namespace fovea::nn
