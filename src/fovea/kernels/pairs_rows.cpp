#include "fovea/kernels/pairs_rows.h"

#include <algorithm>

#include "fovea/kernels/pairs_tasks.h"

namespace fovea::kernels {
namespace {

// body(row, b, t, j) for rows in order.
template <class Body>
void for_each_row(const std::vector<PairRun>& runs, const Body& body) {
  std::int64_t n = 0;
  for (const PairRun& run : runs)
    for (std::int64_t j = run.first_key; j < run.first_key + run.count; ++j) body(n++, run.b, run.t, j);
}

}  // namespace

std::vector<std::vector<PairRun>> chunks_of_pairs(const PairExtents& x, std::int64_t most) {
  std::vector<std::vector<PairRun>> chunks;
  std::int64_t room = 0;
  for (std::int64_t b = 0; b < x.sequences; ++b)
    for (std::int64_t t = 0; t < x.q_count[b]; ++t)
      for (std::int64_t j = 0; j < x.k_count[b];) {
        if (room == 0) {
          chunks.emplace_back();
          room = most;
        }
        const std::int64_t count = std::min(room, x.k_count[b] - j);
        chunks.back().push_back({b, t, j, count});
        room -= count;
        j += count;
      }
  return chunks;
}

std::int64_t rows_of(const std::vector<PairRun>& runs) {
  std::int64_t rows = 0;
  for (const PairRun& run : runs) rows += run.count;
  return rows;
}

void pair_rows_forward(const Execution& exec, const PairExtents& x, const std::vector<PairRun>& runs,
                       std::int64_t D, const float* a_q, const float* a_k, const std::int32_t* key_rows,
                       float* rows) {
  std::vector<std::int64_t> first(runs.size());
  for (std::size_t r = 1; r < runs.size(); ++r) first[r] = first[r - 1] + runs[r - 1].count;
  const auto body = [&](int, std::int64_t r) {
    const PairRun& run = runs[static_cast<std::size_t>(r)];
    const float* q = a_q + (x.q_start[run.b] + run.t) * D;
    for (std::int64_t n = 0; n < run.count; ++n) {
      const std::int64_t key = x.k_start[run.b] + run.first_key + n;
      const float* k = a_k + (key_rows ? key_rows[key] : key) * D;
      float* row = rows + (first[static_cast<std::size_t>(r)] + n) * D;
      for (std::int64_t d = 0; d < D; ++d) row[d] = q[d] + k[d];
    }
  };
  for_each_task(exec, static_cast<std::int64_t>(runs.size()), rows_of(runs) * D, body);
}

// Threads share columns, not rows: each sum is one thread's, in the order of the rows.
void pair_rows_backward(const Execution& exec, const PairExtents& x, const std::vector<PairRun>& runs,
                        std::int64_t D, const float* d_rows, float* d_a_q, float* d_a_k) {
  exec.pool->parallel_for(D, 32, [&](std::int64_t begin, std::int64_t end) {
    for_each_row(runs, [&](std::int64_t n, std::int64_t b, std::int64_t t, std::int64_t j) {
      const float* row = d_rows + n * D;
      float* q = d_a_q ? d_a_q + (x.q_start[b] + t) * D : nullptr;
      float* k = d_a_k ? d_a_k + (x.k_start[b] + j) * D : nullptr;
      if (q)
        for (std::int64_t d = begin; d < end; ++d) q[d] += row[d];
      if (k)
        for (std::int64_t d = begin; d < end; ++d) k[d] += row[d];
    });
  });
}

void scatter_pair_rows(const PairExtents& x, const std::vector<PairRun>& runs, const float* rows,
                       float* pairs) {
  for_each_row(runs, [&](std::int64_t n, std::int64_t b, std::int64_t t, std::int64_t j) {
    for (std::int64_t h = 0; h < x.heads; ++h) pairs[x.row(b, h, t) + j] = rows[n * x.heads + h];
  });
}

void gather_pair_rows(const PairExtents& x, const std::vector<PairRun>& runs, const float* pairs,
                      float* rows) {
  for_each_row(runs, [&](std::int64_t n, std::int64_t b, std::int64_t t, std::int64_t j) {
    for (std::int64_t h = 0; h < x.heads; ++h) rows[n * x.heads + h] = pairs[x.row(b, h, t) + j];
  });
}

}  // namespace fovea::kernels
