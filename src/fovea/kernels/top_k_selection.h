#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "fovea/kernels/top_k.h"

namespace fovea::kernels {

/// Arguments of top_k_log_softmax; `banned` is sorted.
struct TopK {
  std::int64_t V, k;
  const float* logits;
  const std::int32_t* banned;
  std::int64_t banned_count;
  float* log_probs;
  std::int32_t* ids;
};

/// The k best of the elements offered so far, best first. Elements are offered by ascending id, so that an
/// equal one that comes later ranks lower.
class TopKSelection {
 public:
  explicit TopKSelection(std::int64_t k) : k_(static_cast<int>(k)) {}

  /// What an element must exceed to be taken.
  float threshold() const { return threshold_; }
  int size() const { return size_; }
  float value(int i) const { return values_[i]; }
  std::int32_t id(int i) const { return ids_[i]; }

  /// Takes an element that exceeds threshold().
  void insert(float value, std::int32_t id) {
    int place = size_ < k_ ? size_++ : k_ - 1;
    for (; place > 0 && values_[place - 1] < value; --place) {
      values_[place] = values_[place - 1];
      ids_[place] = ids_[place - 1];
    }
    values_[place] = value;
    ids_[place] = id;
    if (size_ == k_) threshold_ = values_[k_ - 1];
  }

  /// Appends what ranks below every finite logit: -infinity and NaN, by ascending id.
  void fill(const TopK& a, const float* row) {
    const std::int32_t* banned = a.banned;
    for (std::int32_t v = 0; v < a.V && size_ < k_; ++v) {
      while (banned < a.banned + a.banned_count && *banned < v) ++banned;
      if (banned < a.banned + a.banned_count && *banned == v) continue;
      if (row[v] > -std::numeric_limits<float>::infinity()) continue;  // has been offered
      values_[size_] = row[v];
      ids_[size_++] = v;
    }
  }

  /// Writes row n of the answer.
  void write(const TopK& a, std::int64_t n, double log_sum) const {
    for (int i = 0; i < k_; ++i) {
      a.log_probs[n * k_ + i] = static_cast<float>(values_[i] - log_sum);
      a.ids[n * k_ + i] = ids_[i];
    }
  }

 private:
  int k_, size_ = 0;
  float threshold_ = -std::numeric_limits<float>::infinity();
  float values_[top_k_limit];
  std::int32_t ids_[top_k_limit];
};

}  // namespace fovea::kernels
