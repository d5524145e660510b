#pragma once

#include <cstdint>
#include <vector>

#include "fovea/kernels/pairs.h"

namespace fovea::kernels {

/// Pairs as rows of a matrix, a bounded number at a time: how a network that reads each pair runs over them.
/// A run is keys first_key .. first_key + count - 1 of query t of sequence b; runs of a chunk lie one after
/// another.
struct PairRun {
  std::int64_t b = 0, t = 0, first_key = 0, count = 0;
};

/// All runs in the order (b, t, key), cut into chunks of at most `most` rows (above 0). The cuts depend on
/// the lengths alone.
std::vector<std::vector<PairRun>> chunks_of_pairs(const PairExtents& x, std::int64_t most);

std::int64_t rows_of(const std::vector<PairRun>& runs);

/// rows[n] = a_q[query of n] + a_k[key of n]; a_q [N_q, D], a_k [N_k, D], rows [rows_of(runs), D]. key_rows
/// as in PairProduct, or null.
void pair_rows_forward(const Execution& exec, const PairExtents& x, const std::vector<PairRun>& runs,
                       std::int64_t D, const float* a_q, const float* a_k, const std::int32_t* key_rows,
                       float* rows);

/// d_a_q and d_a_k (either may be null) += the rows of their pairs. Same bits for any number of threads.
void pair_rows_backward(const Execution& exec, const PairExtents& x, const std::vector<PairRun>& runs,
                        std::int64_t D, const float* d_rows, float* d_a_q, float* d_a_k);

/// rows [rows_of(runs), H] into the pairs [H, T_b, S_b] of each sequence, and back.
void scatter_pair_rows(const PairExtents& x, const std::vector<PairRun>& runs, const float* rows,
                       float* pairs);
void gather_pair_rows(const PairExtents& x, const std::vector<PairRun>& runs, const float* pairs,
                      float* rows);

}  // namespace fovea::kernels
