#pragma once

#include <memory>
#include <span>
#include <vector>

#include "fovea/base/dtype.h"
#include "fovea/tensor/shape.h"
#include "fovea/tensor/storage.h"

namespace fovea {

class Tensor;

/// Where the gradient of a tensor gathers. Tensors that are views of the same elements share it.
struct GradientSlot;

/// A contiguous array: shape, dtype, shared storage. Copies share; a view reshapes or takes leading rows.
class Tensor {
 public:
  Tensor() = default;
  static Tensor empty(Shape shape, DType dtype = DType::f32);
  static Tensor zeros(Shape shape, DType dtype = DType::f32);
  static Tensor full(Shape shape, float value);
  static Tensor of(Shape shape, std::span<const float> values);

  /// Elements that lie at `data`, in memory of `owner`'s, which is kept; they are not to be written if it is
  /// not.
  static Tensor over(std::shared_ptr<const void> owner, const std::byte* data, Shape shape, DType dtype);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::int64_t dim(int axis) const { return shape_[axis]; }
  std::int64_t elements() const { return elements_; }
  DType dtype() const { return dtype_; }
  std::size_t bytes() const { return static_cast<std::size_t>(elements_) * size_of(dtype_); }

  /// The elements; Error(bug) if the dtype is another one.
  float* f32() const;
  std::int32_t* i32() const;
  std::byte* raw() const { return storage_ ? storage_->data() + offset_ : nullptr; }
  std::span<float> values() const { return {f32(), static_cast<std::size_t>(elements_)}; }

  /// The same elements (and gradient) in another shape; the number of elements must agree.
  Tensor reshape(Shape shape) const;
  /// Rows [begin, end) of the first axis, as a view without a gradient of its own.
  Tensor rows(std::int64_t begin, std::int64_t end) const;
  /// Elements [begin, begin + shape.elements()) in that shape, as a view without a gradient: how an arena is
  /// cut up.
  Tensor slice(std::int64_t begin, Shape shape) const;
  Tensor clone() const;
  /// The same elements without the gradient.
  Tensor detached() const;

  /// Whether backward should reach this tensor (see ops/tape.h).
  bool requires_grad() const { return gradient_ != nullptr; }
  const std::shared_ptr<GradientSlot>& gradient_slot() const { return gradient_; }
  void set_gradient_slot(std::shared_ptr<GradientSlot> slot) { gradient_ = std::move(slot); }
  /// The gradient, shaped like this; undefined if none has come yet. Error(bug) if none is required.
  Tensor grad() const;

 private:
  static Tensor without_memory(Shape shape, DType dtype);

  Shape shape_;
  DType dtype_ = DType::f32;
  std::int64_t elements_ = 0;
  std::size_t offset_ = 0;  // bytes
  std::shared_ptr<Storage> storage_;
  std::shared_ptr<GradientSlot> gradient_;
};

/// Where the gradient of a tensor gathers.
struct GradientSlot {
  Tensor gradient;       ///< undefined until the first contribution (or preset, for parameters)
  bool written = false;  ///< whether `gradient` holds a value to add to
};

/// Throws Error(bug) naming `where` and both shapes unless they agree; -1 in `expected` fits any extent.
void expect_shape(const Tensor& tensor, std::initializer_list<std::int64_t> expected, std::string_view where);

}  // namespace fovea
