#include "fovea/decoding/coverage.h"

#include "fovea/base/error.h"

namespace fovea::decoding {

void Coverage::add(const StepAttention& attention) {
  if (start_.empty()) {
    start_ = attention.start;
    sums_.assign(attention.weights.size(), 0.0);
  }
  if (start_ != attention.start)
    throw Error(Error::Kind::bug, "decoding: coverage", "the attention of a step is that of other rows");
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += static_cast<double>(attention.weights[i]);
}

void Coverage::reorder(std::span<const std::int32_t> parents) {
  std::vector<double> sums;
  std::vector<std::size_t> start{0};
  for (const auto parent : parents) {
    const auto covered = row(static_cast<std::size_t>(parent));
    sums.insert(sums.end(), covered.begin(), covered.end());
    start.push_back(sums.size());
  }
  sums_ = std::move(sums);
  start_ = std::move(start);
}

}  // namespace fovea::decoding
