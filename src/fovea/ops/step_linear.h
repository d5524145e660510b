#pragma once

#include <memory>

#include "fovea/kernels/gemm.h"
#include "fovea/ops/context.h"

namespace fovea::ops {

/// A linear layer applied at each step of a loop over time: y = x W^T + b (+ onto). Each step sends back the
/// gradient of its x at once, but those of W and b wait until backward has passed all steps: then they are
/// one product over the rows of all steps, instead of a small one a step that reads and writes all of d_W.
/// Construct it before the loop, with the context of the loop: that is where backward comes last.
/// W is packed once for all steps, so for a single step ops::linear is the better choice; results are the
/// same bits. Rows may change from step to step (shorter sequences end earlier). W must not change while this
/// lives.
class StepLinear {
 public:
  /// Shapes   W [out, in]; b [out] or undefined
  /// Throws   Error(bug) naming the shapes if they disagree
  StepLinear(const Context& ctx, const Tensor& W, const Tensor& b);

  /// Shapes   x [R, in]; onto [R, out] or undefined; result [R, out]
  Tensor operator()(const Context& ctx, const Tensor& x, const Tensor& onto = {}) const;

 private:
  struct Steps;
  std::shared_ptr<Steps> steps_;
};

}  // namespace fovea::ops
