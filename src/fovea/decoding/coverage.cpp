#include "fovea/decoding/coverage.h"

#include "fovea/base/error.h"

namespace fovea::decoding {

void Coverage::begin(std::size_t source) {
  source_ = source;
  sums_.assign(source, 0.0);
}

void Coverage::add(std::span<const float> attention) {
  if (sums_.size() != attention.size())
    throw Error(Error::Kind::bug, "decoding: coverage", "the attention of a step is that of other rows");
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += static_cast<double>(attention[i]);
}

void Coverage::reorder(std::span<const std::int32_t> parents) {
  before_.swap(sums_);
  sums_.clear();
  for (const auto parent : parents) {
    const auto covered = std::span(before_).subspan(static_cast<std::size_t>(parent) * source_, source_);
    sums_.insert(sums_.end(), covered.begin(), covered.end());
  }
}

}  // namespace fovea::decoding
