#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace fovea::decoding {

struct BatchPlanOptions {
  std::int64_t max_tokens =
      4096;                    ///< source tokens of a batch, at most; a longer sentence is a batch of its own
  std::int64_t max_rows = 64;  ///< sentences of a batch, at most
  std::int64_t window = std::numeric_limits<std::int64_t>::max();  ///< sentences sorted at a time
};

/// Which sentences are decoded together: batch b holds sentences plan[b] (indices into `lengths`).
/// Consecutive windows of sentences are sorted by length, longest first (what needs most memory fails or
/// passes at once; the last batches are small and quick), ties in the order they came, and cut. Every index
/// occurs exactly once. Throws Error(usage) if an option is below 1.
std::vector<std::vector<std::size_t>> plan_batches(std::span<const std::int64_t> lengths,
                                                   const BatchPlanOptions& options = {});

/// Results of the batches of a plan, put back into the order of the sentences: results[b][i] belongs to
/// plan[b][i].
template <class Result>
std::vector<Result> in_order(const std::vector<std::vector<std::size_t>>& plan,
                             std::vector<std::vector<Result>> results) {
  std::size_t count = 0;
  for (const auto& batch : plan) count += batch.size();
  std::vector<Result> ordered(count);
  for (std::size_t b = 0; b < plan.size(); ++b)
    for (std::size_t i = 0; i < plan[b].size(); ++i) ordered[plan[b][i]] = std::move(results[b][i]);
  return ordered;
}

}  // namespace fovea::decoding
