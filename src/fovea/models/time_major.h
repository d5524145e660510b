#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fovea::models {

/// Sentences in the order in which a loop over time goes through them: longest target first, step t of all
/// that are that long in neighbouring rows.
class TimeMajor {
 public:
  /// From the boundaries [B + 1] of the target sentences.
  explicit TimeMajor(std::span<const std::int32_t> target_start);

  std::int64_t sentences() const { return static_cast<std::int64_t>(order_.size()); }
  std::int64_t steps() const { return static_cast<std::int64_t>(rows_.size()); }
  std::int64_t rows(std::int64_t step) const { return rows_[static_cast<std::size_t>(step)]; }
  /// Which sentence of the batch is row r of a step.
  const std::vector<std::size_t>& order() const { return order_; }
  /// Where in the batch, packed by sentence, the token of a row of a step is.
  std::int64_t token(std::int64_t step, std::int64_t row) const {
    return start_[order_[static_cast<std::size_t>(row)]] + step;
  }
  /// Target tokens, packed by sentence, in the order of the steps.
  std::vector<std::int32_t> arrange(std::span<const std::int32_t> tokens) const;

 private:
  std::vector<std::size_t> order_;
  std::vector<std::int64_t> start_, rows_;
};

}  // namespace fovea::models
