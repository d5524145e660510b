#include "fovea/kernels/linear_top_k.h"

#include <algorithm>
#include <memory>

#include "fovea/kernels/cpu/packed_linear_part.h"
#include "fovea/kernels/top_k_selection.h"

namespace fovea::kernels {
namespace {

// Rows whose logits of a block exist at a time: 48 KB, and tiles enough to fetch weights while multiplying.
constexpr std::int64_t group_rows = 24;

// What is known of rows so far: of each row its blocks' sums, and of each thread its selections.
struct Found {
  std::int64_t blocks, rows;
  BlockSum* sums;             // [rows][blocks]
  TopKSelection* selections;  // [threads][rows]

  TopKSelection* of_thread(std::int64_t thread) const { return selections + thread * rows; }
};

Found make_room(const Execution& exec, std::int64_t rows, std::int64_t N, std::int64_t k,
                std::int64_t threads) {
  const std::int64_t blocks = top_k_blocks(N);
  const std::int64_t bytes = rows * (blocks * static_cast<std::int64_t>(sizeof(BlockSum)) +
                                     threads * static_cast<std::int64_t>(sizeof(TopKSelection)));
  auto* sums = reinterpret_cast<BlockSum*>(
      exec.workspace->get(0, 7, static_cast<std::size_t>(bytes) / sizeof(float) + 1));
  auto* selections = reinterpret_cast<TopKSelection*>(sums + rows * blocks);
  for (std::int64_t i = 0; i < threads * rows; ++i) std::construct_at(selections + i, k);
  return {blocks, rows, sums, selections};
}

// Blocks `blocks` of all rows.
void run_share(const LinearCall& call, const TopKChoice& choice, int worker, LinearRange blocks,
               const Found& found) {
  const ScanBlock scan = scan_block_of(call.exec.kernels);
  float* logits = call.exec.workspace->get(worker, 2, static_cast<std::size_t>(group_rows * top_k_block));
  TopKSelection* best = found.of_thread(worker);
  LinearPart part(call, worker, call.M);
  for (std::int64_t first = 0, ready; first < call.M; first += ready) {
    ready = part.make_ready({first, call.M - first});
    for (std::int64_t b = blocks.begin; b < blocks.begin + blocks.count; ++b) {
      const std::int64_t column = b * top_k_block;
      const LinearRange columns{column, std::min(top_k_block, call.weights.N() - column)};
      for (std::int64_t row = first; row < first + ready; row += group_rows) {
        const LinearRange rows{row, std::min(group_rows, first + ready - row)};
        part.multiply(rows, columns, logits, top_k_block);
        for (std::int64_t i = 0; i < rows.count; ++i)
          found.sums[(row + i) * found.blocks + b] = scan(
              logits + i * top_k_block, columns.count, allowed_from(choice, row + i, column, columns.count),
              static_cast<std::int32_t>(column), best[row + i]);
      }
    }
  }
}

// How many threads are worth waking: cycles of one alone, roughly.
int workers_for(const LinearCall& call, std::int64_t blocks) {
  constexpr double worth_two = 20e3;
  const auto element = static_cast<double>(size_of(call.weights.dtype()));
  const auto rows = static_cast<double>(call.M), N = static_cast<double>(call.weights.N());
  const double product = static_cast<double>(call.weights.K()) * std::max(rows * element / 64, element / 28);
  if (N * (product + rows) < worth_two) return 1;
  return static_cast<int>(std::min<std::int64_t>(call.exec.pool->size(), blocks));
}

}  // namespace

void linear_top_k(const Execution& exec, std::int64_t M, const float* x, const PackedLinear& weights,
                  const float* bias, const TopKChoice& choice, float* log_probs, std::int32_t* ids,
                  std::int64_t x_stride) {
  const LinearCall call = checked_linear(exec, M, x, weights, {.bias = bias, .x_stride = x_stride});
  check_top_k(choice.k, "linear_top_k");
  if (choice.k == 0 || M == 0) return;
  const std::int64_t blocks = top_k_blocks(weights.N());
  const int workers = std::max(1, workers_for(call, blocks));
  const Found found = make_room(exec, M, weights.N(), choice.k, workers);
  const auto share = [&](int worker) {
    if (worker >= workers) return;
    const std::int64_t begin = blocks * worker / workers;
    run_share(call, choice, worker, {begin, blocks * (worker + 1) / workers - begin}, found);
  };
  if (workers == 1)
    share(0);
  else
    exec.pool->run(share);
  for (std::int64_t row = 0; row < M; ++row) {
    TopKSelection& best = found.selections[row];
    for (int worker = 1; worker < workers; ++worker) best.merge(found.of_thread(worker)[row]);
    write_top_k(choice, weights.N(), row, found.sums + row * blocks, best, log_probs, ids);
  }
}

}  // namespace fovea::kernels
