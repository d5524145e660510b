#include "fovea/tensor/tensor.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "fovea/base/checked.h"

namespace fovea {
namespace {

[[noreturn]] void wrong(const std::string& what) { throw Error(Error::Kind::bug, "tensor", what); }

}  // namespace

Tensor Tensor::without_memory(Shape shape, DType dtype) {
  Tensor tensor;
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  tensor.elements_ = shape.elements();
  if (!checked_mul<std::int64_t>(tensor.elements_, static_cast<std::int64_t>(size_of(dtype))))
    wrong(shape.text() + " is larger than memory can be");
  return tensor;
}

Tensor Tensor::empty(Shape shape, DType dtype) {
  Tensor tensor = without_memory(shape, dtype);
  tensor.storage_ = Storage::allocate(tensor.bytes());
  return tensor;
}

Tensor Tensor::over(std::shared_ptr<const void> owner, const std::byte* data, Shape shape, DType dtype) {
  Tensor tensor = without_memory(shape, dtype);
  tensor.storage_ = Storage::borrow(std::move(owner), data, tensor.bytes());
  return tensor;
}

Tensor Tensor::zeros(Shape shape, DType dtype) {
  Tensor tensor = empty(shape, dtype);
  std::memset(tensor.raw(), 0, tensor.bytes());
  return tensor;
}

Tensor Tensor::full(Shape shape, float value) {
  Tensor tensor = empty(shape);
  std::ranges::fill(tensor.values(), value);
  return tensor;
}

Tensor Tensor::of(Shape shape, std::span<const float> values) {
  Tensor tensor = empty(shape);
  if (static_cast<std::int64_t>(values.size()) != tensor.elements())
    wrong(std::to_string(values.size()) + " values for shape " + shape.text());
  std::ranges::copy(values, tensor.f32());
  return tensor;
}

float* Tensor::f32() const {
  if (dtype_ != DType::f32) wrong("f32 asked of " + std::string(name_of(dtype_)) + " " + shape_.text());
  return reinterpret_cast<float*>(raw());
}

std::int32_t* Tensor::i32() const {
  if (dtype_ != DType::i32) wrong("i32 asked of " + std::string(name_of(dtype_)) + " " + shape_.text());
  return reinterpret_cast<std::int32_t*>(raw());
}

Tensor Tensor::reshape(Shape shape) const {
  if (shape.elements() != elements_) wrong("cannot reshape " + shape_.text() + " to " + shape.text());
  Tensor view = *this;
  view.shape_ = shape;
  return view;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  if (shape_.rank() == 0 || begin < 0 || begin > end || end > shape_[0])
    wrong("rows " + std::to_string(begin) + " to " + std::to_string(end) + " of " + shape_.text());
  Shape shape{end - begin};
  for (int axis = 1; axis < shape_.rank(); ++axis) shape.append(shape_[axis]);
  const std::int64_t row = shape_[0] ? elements_ / shape_[0] : 0;
  return slice(begin * row, shape);
}

Tensor Tensor::slice(std::int64_t begin, Shape shape) const {
  if (begin < 0 || begin > elements_ || shape.elements() > elements_ - begin)
    wrong("slice " + shape.text() + " at " + std::to_string(begin) + " of " + shape_.text());
  Tensor view = detached();
  view.shape_ = shape;
  view.elements_ = shape.elements();
  view.offset_ += static_cast<std::size_t>(begin) * size_of(dtype_);
  return view;
}

Tensor Tensor::clone() const {
  Tensor copy = empty(shape_, dtype_);
  std::memcpy(copy.raw(), raw(), bytes());
  return copy;
}

Tensor Tensor::detached() const {
  Tensor view = *this;
  view.gradient_ = nullptr;
  return view;
}

Tensor Tensor::grad() const {
  if (!gradient_) wrong("no gradient is kept for " + shape_.text());
  if (!gradient_->written) return {};
  return gradient_->gradient.reshape(shape_);
}

void expect_shape(const Tensor& tensor, std::initializer_list<std::int64_t> expected,
                  std::string_view where) {
  const Shape& found = tensor.shape();
  bool same = found.rank() == static_cast<int>(expected.size());
  int axis = 0;
  for (const auto extent : expected) same = same && (extent < 0 || found[axis] == extent), ++axis;
  if (same) return;
  std::string wanted = "[";
  for (const auto extent : expected)
    wanted += (wanted.size() > 1 ? ", " : "") + (extent < 0 ? std::string("any") : std::to_string(extent));
  throw Error(Error::Kind::bug, where, "shape is " + found.text() + ", expected " + wanted + "]");
}

}  // namespace fovea
