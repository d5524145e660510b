#pragma once

#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// The largest k that is served: twice a beam of 32.
inline constexpr std::int64_t top_k_limit = 64;

/// Which columns of logits rows may choose, and what they are called.
struct TopKChoice {
  std::int64_t k = 1;
  /// [N rows] bitmaps over V columns: row n may choose column v if bit v % 64 of allowed[n][v / 64] is set.
  /// Rows may share one; null for a row, or for all: every column.
  const std::uint64_t* const* allowed = nullptr;
  /// [V] ids of the columns, ascending: of an output layer that is a part of the vocabulary. Null: their
  /// numbers.
  const std::int32_t* names = nullptr;
};

/// For each row of logits [N,V]: the k largest log-probabilities, best first, ties to the smaller id.
///   log_probs = logits[v] - log sum_v exp(logits[v]),  v over the columns that the row may choose
/// Columns that it may not are absent: neither chosen nor part of the sum. log_probs, ids: [N,k]; where fewer
/// than k may be chosen, the rest are -infinity and -1. One pass for the log-sum-exp and the selection: no
/// log-softmax over V is written. Same bits for any thread count and N, and as linear_top_k gives.
/// A NaN ranks with -infinity, below every other logit; the log-probabilities of a row with a NaN or
/// +infinity are NaN, as are those of a row of -infinity alone. Throws Error(bug) unless 0 <= k <=
/// top_k_limit.
void top_k_log_softmax(const Execution& exec, std::int64_t N, std::int64_t V, const TopKChoice& choice,
                       const float* logits, float* log_probs, std::int32_t* ids);

/// The same where all rows may choose all but `banned`, in any order; ids of no column are passed over.
/// Throws Error(bug) if fewer than k are left.
void top_k_log_softmax(const Execution& exec, std::int64_t N, std::int64_t V, std::int64_t k,
                       const float* logits, const std::int32_t* banned, std::int64_t banned_count,
                       float* log_probs, std::int32_t* ids);

}  // namespace fovea::kernels
