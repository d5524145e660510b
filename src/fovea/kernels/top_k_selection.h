#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "fovea/kernels/top_k.h"

/// What the kernels of top_k.h and linear_top_k.h share: a row goes by in blocks of so many columns, which
/// are summed by themselves. So a row's bits do not depend on who computed its blocks.
namespace fovea::kernels {

inline constexpr std::int64_t top_k_block = 512;

constexpr std::int64_t top_k_blocks(std::int64_t V) { return (V + top_k_block - 1) / top_k_block; }

/// sum of exp(x - max) over a block; of a block of -infinity alone 0.
struct BlockSum {
  float max = std::numeric_limits<float>::lowest();
  float sum = 0.0f;
};

/// The k best of the elements offered so far, best first. Elements are offered by ascending column, so that
/// an equal one that comes later ranks lower.
class TopKSelection {
 public:
  explicit TopKSelection(std::int64_t k) : k_(static_cast<int>(k)) {}

  /// What an element must exceed to be taken.
  float threshold() const { return threshold_; }
  int size() const { return size_; }
  float value(int i) const { return values_[i]; }
  std::int32_t column(int i) const { return columns_[i]; }

  /// Takes an element that exceeds threshold().
  void insert(float value, std::int32_t column) {
    int place = size_ < k_ ? size_++ : k_ - 1;
    for (; place > 0 && values_[place - 1] < value; --place) {
      values_[place] = values_[place - 1];
      columns_[place] = columns_[place - 1];
    }
    values_[place] = value;
    columns_[place] = column;
    if (size_ == k_) threshold_ = values_[k_ - 1];
  }

  /// Takes what was selected of later columns.
  void merge(const TopKSelection& later) {
    for (int i = 0; i < later.size_ && later.values_[i] > threshold_; ++i)
      insert(later.values_[i], later.columns_[i]);
  }

 private:
  int k_, size_ = 0;
  float threshold_ = -std::numeric_limits<float>::infinity();
  float values_[top_k_limit];
  std::int32_t columns_[top_k_limit];
};

/// One row of `count` logits, a block of it, whose columns are first on; `allowed` has the bits of these, or
/// is null. Returns its sum and offers its elements.
using ScanBlock = BlockSum (*)(const float* logits, std::int64_t count, const std::uint64_t* allowed,
                               std::int32_t first, TopKSelection& best);
ScanBlock scan_block_of(KernelSet set);

/// The bits of columns first .. first + count - 1, `first` a multiple of 64, that a row may choose; null if
/// that is all of them.
inline const std::uint64_t* allowed_from(const TopKChoice& choice, std::int64_t row, std::int64_t first,
                                         std::int64_t count) {
  if (!choice.allowed || !choice.allowed[row]) return nullptr;
  const std::uint64_t* bits = choice.allowed[row] + first / 64;
  for (std::int64_t word = 0; word < count / 64; ++word)
    if (bits[word] != ~std::uint64_t{0}) return bits;
  return count % 64 == 0 || (~bits[count / 64] << (64 - count % 64)) == 0 ? nullptr : bits;
}

/// Writes row `row` of the answer, from its blocks in order and what was selected of them.
void write_top_k(const TopKChoice& choice, std::int64_t V, std::int64_t row, const BlockSum* blocks,
                 const TopKSelection& best, float* log_probs, std::int32_t* ids);

/// Throws Error(bug) naming `where` unless k can be served.
void check_top_k(std::int64_t k, const char* where);

}  // namespace fovea::kernels
