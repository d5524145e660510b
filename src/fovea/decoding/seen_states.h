#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/kernels/execution.h"
#include "fovea/tensor/tensor.h"

namespace fovea::decoding {

/// What rows have read, as the states that a model's output layer reads: to tell how much the newest token of
/// a row is like those before it. Rows that share a past share its states; memory of what no row has read any
/// more is used again.
class SeenStates {
 public:
  std::int64_t rows() const { return static_cast<std::int64_t>(rows_.size()); }

  /// Adds rows; count[i] of the states [N, D], in order, are what row i has read. An undefined tensor has
  /// none.
  void admit(const kernels::Execution& exec, const Tensor& states, std::span<const std::int64_t> counts);
  /// Row i goes on from what was row parents[i].
  void reorder(std::span<const std::int32_t> parents);
  /// One more state [rows, D] for every row. `likeness` gets the greatest cosine of each with the states of
  /// its row before, or -1 if there are none.
  void add(const kernels::Execution& exec, const Tensor& states, std::vector<float>& likeness);

 private:
  using Places = std::vector<std::int32_t>;
  void keep(Places& row, std::span<const float> state);
  std::span<const float> at(std::int32_t place) const {
    return std::span(memory_).subspan(static_cast<std::size_t>(place) * width_, width_);
  }
  float greatest_cosine(const Places& row, std::span<const float> state) const;

  std::size_t width_ = 0;                 // D
  std::vector<float> memory_;             // [places, D], of length 1 each
  std::vector<std::int32_t> references_;  // to each place
  Places free_;
  std::vector<Places> rows_, next_;  // which states each row has read
};

}  // namespace fovea::decoding
