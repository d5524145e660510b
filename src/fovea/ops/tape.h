#pragma once

#include <functional>
#include <initializer_list>
#include <vector>

#include "fovea/tensor/tensor.h"

namespace fovea::ops {

/// What was computed, in order, as the steps that send gradients back. A function of ops/ records one step
/// when an input of it requires a gradient; backward() runs the steps from the last to the first and lets go
/// of each at once, so that what was kept for it is free for the next.
class Tape {
 public:
  void record(std::function<void()> step) { steps_.push_back(std::move(step)); }
  void backward();
  void clear() { steps_.clear(); }
  std::size_t size() const { return steps_.size(); }

 private:
  std::vector<std::function<void()>> steps_;
};

/// Makes `tensor` a place where backward() leaves a gradient. The gradient is undefined until one arrives.
void require_grad(Tensor& tensor);

/// Where a kernel that can add should put its share of the gradient of `tensor`.
struct GradientTarget {
  float* data = nullptr;
  bool accumulate = false;  ///< whether there is a value to add to; if not, overwrite
};
GradientTarget gradient_target(const Tensor& tensor);

/// Hands `gradient` over as a share of the gradient of `tensor`: kept as it is if it is the first, else
/// added. Does nothing if `tensor` requires none.
void give_gradient(const Tensor& tensor, Tensor gradient);

/// The gradient that has arrived at `tensor`; undefined if none did.
Tensor arrived_gradient(const Tensor& tensor);

}  // namespace fovea::ops
