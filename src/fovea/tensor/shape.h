#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace fovea {

/// The extents of a tensor, outermost first; up to 6 axes, kept inline.
class Shape {
 public:
  static constexpr int max_rank = 6;
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return extents_[static_cast<std::size_t>(axis < 0 ? axis + rank_ : axis)]; }
  std::int64_t elements() const;
  bool operator==(const Shape& other) const;
  const std::int64_t* begin() const { return extents_.data(); }
  const std::int64_t* end() const { return extents_.data() + rank_; }
  void append(std::int64_t extent);
  /// As "[2, 5, 64]".
  std::string text() const;

 private:
  std::array<std::int64_t, max_rank> extents_{};
  int rank_ = 0;
};

}  // namespace fovea
