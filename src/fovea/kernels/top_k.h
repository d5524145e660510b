#pragma once

#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// The largest k that top_k_log_softmax serves: twice a beam of 32.
inline constexpr std::int64_t top_k_limit = 64;

/// For each row of logits [N,V]: the k largest log-probabilities, best first, ties to the smaller id.
///   log_probs = logits[ids] - log sum_v exp(logits[v]),  v over the ids that are not banned
/// Banned ids are absent: neither chosen nor part of the sum. log_probs, ids: [N,k]. One pass for the
/// log-sum-exp and the selection: no log-softmax over V is written. Same result for any thread count and N.
/// A NaN ranks with -infinity, below every other logit; the ids are distinct and not banned in any case, and
/// the log-probabilities of a row with a NaN or +infinity are NaN. Throws Error(bug) unless 0 <= k <=
/// top_k_limit and k ids are not banned.
void top_k_log_softmax(const Execution& exec, std::int64_t N, std::int64_t V, std::int64_t k,
                       const float* logits, const std::int32_t* banned, std::int64_t banned_count,
                       float* log_probs, std::int32_t* ids);

}  // namespace fovea::kernels
