#include "fovea/ops/tape.h"

#include <algorithm>
#include <functional>

namespace fovea::ops {

void Tape::backward() {
  while (!steps_.empty()) {
    const std::function<void()> step = std::move(steps_.back());
    steps_.pop_back();
    step();
  }
}

void require_grad(Tensor& tensor) { tensor.set_gradient_slot(std::make_shared<GradientSlot>()); }

GradientTarget gradient_target(const Tensor& tensor) {
  GradientSlot& slot = *tensor.gradient_slot();
  if (!slot.gradient.defined()) slot.gradient = Tensor::empty(tensor.shape());
  const bool accumulate = slot.written;
  slot.written = true;
  return {slot.gradient.f32(), accumulate};
}

void give_gradient(const Tensor& tensor, Tensor gradient) {
  if (!tensor.requires_grad()) return;
  GradientSlot& slot = *tensor.gradient_slot();
  if (!slot.written && !slot.gradient.defined()) {
    slot.gradient = std::move(gradient);
    slot.written = true;
    return;
  }
  const auto target = gradient_target(tensor);
  const float *from = gradient.f32(), *end = from + gradient.elements();
  if (target.accumulate)
    std::transform(from, end, target.data, target.data, std::plus<>());
  else
    std::copy(from, end, target.data);
}

Tensor arrived_gradient(const Tensor& tensor) {
  const auto& slot = tensor.gradient_slot();
  return slot && slot->written ? slot->gradient : Tensor();
}

}  // namespace fovea::ops
