#pragma once

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "fovea/ops/attention.h"

namespace fovea::ops {

/// Where backward of an attention writes the gradients of queries, keys and values, each overwriting its own
/// columns. Operands that are different columns of one packed matrix share its gradient; one that is the same
/// columns as another, as keys that are values too, has a gradient of its own.
class OperandGradients {
 public:
  /// Where the gradient of `operand` begins, of whose matrix `columns` and the rows of `sequences` will be
  /// written; what is nobody's has no gradient from here.
  float* add(const PackedHeads& operand, std::int64_t columns, const Sequences& sequences) {
    Entry& entry = entry_of(operand);
    entry.first.push_back(operand.first);
    if (!entry.gradient.defined()) {
      const auto rows = std::accumulate(sequences.count.begin(), sequences.count.end(), std::int64_t{0});
      const bool whole = columns == operand.matrix.dim(1) && rows == operand.matrix.dim(0);
      entry.gradient = whole ? Tensor::empty(operand.matrix.shape()) : Tensor::zeros(operand.matrix.shape());
    }
    return entry.gradient.f32() + operand.first;
  }

  void give() const {
    for (int i = 0; i < count_; ++i) give_gradient(entries_[i].matrix, entries_[i].gradient);
  }

 private:
  struct Entry {
    Tensor matrix, gradient;
    std::vector<std::int64_t> first;  // columns of those that share it
  };

  Entry& entry_of(const PackedHeads& operand) {
    for (int i = 0; i < count_; ++i)
      if (entries_[i].matrix.raw() == operand.matrix.raw() &&
          std::ranges::count(entries_[i].first, operand.first) == 0)
        return entries_[i];
    entries_[count_].matrix = operand.matrix;
    return entries_[count_++];
  }

  std::array<Entry, 3> entries_;
  int count_ = 0;
};

}  // namespace fovea::ops
