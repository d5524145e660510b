#include "fovea/decoding/restriction.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>

#include "fovea/kernels/top_k.h"

namespace fovea::decoding {

TokenSet possible_tokens(const std::vector<std::int32_t>& asked, std::span<const std::int32_t> always,
                         std::span<const std::int32_t> forbidden, std::int64_t vocabulary,
                         const std::string& where) {
  for (std::size_t i = 0; i < asked.size(); ++i)
    if (asked[i] < 0 || asked[i] >= vocabulary || (i > 0 && asked[i] <= asked[i - 1]))
      throw Error(Error::Kind::usage, where, "are not ascending ids of the vocabulary");
  std::vector<std::int32_t> wanted, possible;
  std::ranges::set_union(asked, always, std::back_inserter(wanted));
  std::ranges::set_difference(wanted, forbidden, std::back_inserter(possible));
  return std::make_shared<const std::vector<std::int32_t>>(std::move(possible));
}

void Restriction::begin(std::span<const TokenSet> rows) {
  std::map<const void*, std::int32_t> known;
  parts_.clear();
  rows_.clear();
  for (const TokenSet& set : rows) {
    const auto [place, is_new] = known.try_emplace(set.get(), static_cast<std::int32_t>(parts_.size()));
    if (is_new) parts_.push_back({set, {}});
    rows_.push_back(place->second);
  }
  unite();
}

// Marks tokens in a table of the vocabulary: no sort, no search.
void Restriction::unite() {
  std::int32_t largest = -1;
  for (const Part& part : parts_)
    if (!part.set->empty()) largest = std::max(largest, part.set->back());
  std::vector<std::int32_t> column(static_cast<std::size_t>(largest + 1), -1);
  for (const Part& part : parts_)
    for (const auto token : *part.set) column[static_cast<std::size_t>(token)] = 0;
  tokens_.clear();
  for (std::size_t token = 0; token < column.size(); ++token) {
    if (column[token] < 0) continue;
    column[token] = static_cast<std::int32_t>(tokens_.size());
    tokens_.push_back(static_cast<std::int32_t>(token));
  }
  for (Part& part : parts_) {
    part.columns.clear();
    for (const auto token : *part.set) part.columns.push_back(column[static_cast<std::size_t>(token)]);
  }
}

void Restriction::reorder(std::span<const std::int32_t> parents) {
  if (!active()) return;
  next_rows_.clear();
  for (const auto parent : parents) next_rows_.push_back(rows_[static_cast<std::size_t>(parent)]);
  rows_.swap(next_rows_);
}

Tensor Restriction::narrow(const kernels::Execution& exec, const Tensor& logits) const {
  constexpr std::int64_t least_elements = 16384;  // that are worth waking a thread for
  const std::int64_t R = std::ssize(rows_), U = std::ssize(tokens_);
  expect_shape(logits, {R, U}, "restriction: logits of a step");
  std::size_t W = static_cast<std::size_t>(kernels::top_k_limit);
  for (const auto part : rows_) W = std::max(W, parts_[static_cast<std::size_t>(part)].columns.size());
  const auto width = static_cast<std::int64_t>(W);
  Tensor narrowed = Tensor::empty({R, width});
  const auto narrow_rows = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const auto& columns = parts_[static_cast<std::size_t>(rows_[static_cast<std::size_t>(r)])].columns;
      const float* from = logits.f32() + r * U;
      float* to = narrowed.f32() + r * width;
      for (const auto column : columns) *to++ = from[column];
      std::fill(to, narrowed.f32() + (r + 1) * width, -std::numeric_limits<float>::infinity());
    }
  };
  exec.pool->parallel_for(R, std::max<std::int64_t>(1, least_elements / width), narrow_rows);
  return narrowed;
}

}  // namespace fovea::decoding
