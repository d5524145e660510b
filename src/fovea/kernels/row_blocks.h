#pragma once

#include <algorithm>
#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Sums over N rows that threads share: rows go in blocks that depend on N alone, each block is summed in
/// order, and the blocks' sums are added in order. So the bits are the same for any number of threads.
/// body(begin, end, partial) adds its rows to partial [width], which starts at zero. Returns the sum [width],
/// in scratch memory of slot 6 that holds until that slot is used again; null if N is 0.
template <class Body>
const float* sum_over_rows(const Execution& exec, std::int64_t N, std::int64_t width, Body&& body) {
  if (N <= 0) return nullptr;
  const std::int64_t rows = std::max<std::int64_t>(32, (N + 63) / 64);  // at most 64 blocks
  const std::int64_t blocks = (N + rows - 1) / rows;
  float* partial = exec.workspace->get(0, 6, static_cast<std::size_t>(blocks * width));
  exec.pool->parallel_for(blocks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; ++block) {
      float* sums = partial + block * width;
      std::fill(sums, sums + width, 0.0f);
      body(block * rows, std::min(N, (block + 1) * rows), sums);
    }
  });
  for (std::int64_t block = 1; block < blocks; ++block)
    for (std::int64_t i = 0; i < width; ++i) partial[i] += partial[block * width + i];
  return partial;
}

/// Rows that are worth a thread of their own: about 16,000 elements.
inline std::int64_t rows_a_thread(std::int64_t D) {
  return std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, D));
}

}  // namespace fovea::kernels
