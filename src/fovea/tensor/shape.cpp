#include "fovea/tensor/shape.h"

#include <algorithm>

#include "fovea/base/checked.h"

namespace fovea {

Shape::Shape(std::initializer_list<std::int64_t> extents) {
  for (const auto extent : extents) append(extent);
}

void Shape::append(std::int64_t extent) {
  if (rank_ == max_rank) throw Error(Error::Kind::bug, "shape", "more than 6 axes");
  if (extent < 0) throw Error(Error::Kind::bug, "shape", "negative extent " + std::to_string(extent));
  extents_[static_cast<std::size_t>(rank_++)] = extent;
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (const auto extent : *this) {
    const auto next = checked_mul(product, extent);
    if (!next) throw Error(Error::Kind::bug, "shape", text() + " has more elements than can be counted");
    product = *next;
  }
  return product;
}

bool Shape::operator==(const Shape& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

std::string Shape::text() const {
  std::string out = "[";
  for (int axis = 0; axis < rank_; ++axis) out += (axis ? ", " : "") + std::to_string((*this)[axis]);
  return out + "]";
}

}  // namespace fovea
