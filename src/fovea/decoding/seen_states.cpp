#include "fovea/decoding/seen_states.h"

#include <algorithm>
#include <array>
#include <utility>

#include "fovea/kernels/unit_rows.h"

namespace fovea::decoding {
namespace {

// In sums of its own for each lane of a vector, added up in one order.
float dot(std::span<const float> a, std::span<const float> b) {
  constexpr std::size_t lanes = 16;
  std::array<float, lanes> sums{};
  std::size_t i = 0;
  for (; i + lanes <= a.size(); i += lanes)
    for (std::size_t j = 0; j < lanes; ++j) sums[j] += a[i + j] * b[i + j];
  float sum = 0.0f;
  for (; i < a.size(); ++i) sum += a[i] * b[i];
  for (const float one : sums) sum += one;
  return sum;
}

Tensor unit_rows(const kernels::Execution& exec, const Tensor& states) {
  const Tensor unit = Tensor::empty(states.shape());
  kernels::unit_rows_forward(exec, {.N = states.dim(0), .E = states.dim(1)}, states.f32(), nullptr,
                             unit.f32(), nullptr);
  return unit;
}

std::span<const float> row_of(const Tensor& states, std::int64_t row) {
  const auto width = static_cast<std::size_t>(states.dim(1));
  return std::span<const float>(states.values()).subspan(static_cast<std::size_t>(row) * width, width);
}

}  // namespace

void SeenStates::keep(Places& row, std::span<const float> state) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::int32_t>(references_.size()));
    references_.push_back(0);
    memory_.resize(references_.size() * width_);
  }
  row.push_back(free_.back());
  free_.pop_back();
  references_[static_cast<std::size_t>(row.back())] = 1;
  std::ranges::copy(
      state, memory_.begin() + static_cast<std::ptrdiff_t>(row.back()) * static_cast<std::ptrdiff_t>(width_));
}

void SeenStates::admit(const kernels::Execution& exec, const Tensor& states,
                       std::span<const std::int64_t> counts) {
  Tensor unit;
  if (states.defined()) {
    width_ = static_cast<std::size_t>(states.dim(1));
    unit = unit_rows(exec, states);
  }
  std::int64_t n = 0;
  for (const auto count : counts) {
    Places& row = rows_.emplace_back();
    for (std::int64_t i = 0; i < count; ++i) keep(row, row_of(unit, n++));
  }
}

void SeenStates::reorder(std::span<const std::int32_t> parents) {
  next_.clear();
  for (const auto parent : parents) {
    next_.push_back(rows_.at(static_cast<std::size_t>(parent)));
    for (const auto place : next_.back()) ++references_[static_cast<std::size_t>(place)];
  }
  for (const auto& row : rows_)
    for (const auto place : row)
      if (--references_[static_cast<std::size_t>(place)] == 0) free_.push_back(place);
  std::swap(rows_, next_);
}

void SeenStates::add(const kernels::Execution& exec, const Tensor& states, std::vector<float>& likeness) {
  width_ = static_cast<std::size_t>(states.dim(1));
  const Tensor unit = unit_rows(exec, states);
  likeness.resize(rows_.size());
  exec.pool->parallel_for(rows(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = begin; i < end; ++i)
      likeness[static_cast<std::size_t>(i)] =
          greatest_cosine(rows_[static_cast<std::size_t>(i)], row_of(unit, i));
  });
  for (std::int64_t i = 0; i < rows(); ++i) keep(rows_[static_cast<std::size_t>(i)], row_of(unit, i));
}

float SeenStates::greatest_cosine(const Places& row, std::span<const float> state) const {
  float most = -1.0f;
  for (const auto place : row) most = std::max(most, dot(at(place), state));
  return most;
}

}  // namespace fovea::decoding
