#include "fovea/models/time_major.h"

#include <algorithm>
#include <numeric>

namespace fovea::models {

TimeMajor::TimeMajor(std::span<const std::int32_t> target_start)
    : order_(target_start.size() - 1), start_(target_start.begin(), target_start.end()) {
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  const auto length = [&](std::size_t b) { return start_[b + 1] - start_[b]; };
  std::ranges::stable_sort(order_, [&](std::size_t a, std::size_t b) { return length(a) > length(b); });
  for (std::int64_t t = 0; !order_.empty() && t < length(order_.front()); ++t)
    rows_.push_back(std::ranges::count_if(order_, [&](std::size_t b) { return length(b) > t; }));
}

std::vector<std::int32_t> TimeMajor::arrange(std::span<const std::int32_t> tokens) const {
  std::vector<std::int32_t> arranged;
  arranged.reserve(tokens.size());
  for (std::int64_t t = 0; t < steps(); ++t)
    for (std::int64_t r = 0; r < rows(t); ++r)
      arranged.push_back(tokens[static_cast<std::size_t>(token(t, r))]);
  return arranged;
}

}  // namespace fovea::models
