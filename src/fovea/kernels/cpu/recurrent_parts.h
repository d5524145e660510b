#pragma once

#include <algorithm>
#include <vector>

#include "fovea/kernels/cpu/recurrent_rows.h"
#include "fovea/kernels/gemm.h"

namespace fovea::kernels {

/// Sequences of one direction that one thread runs, longest first.
struct RecurrentPart {
  std::int64_t direction = 0;
  std::vector<std::int64_t> sequences;
};

/// Threads share out the directions first, since each has a matrix of its own to keep in its cache, then
/// sequences: dealt out by length, forth and back, so that every part has about the same number of steps and
/// rows.
std::vector<RecurrentPart> cut_in_parts(const RecurrentExtents& extents, int threads);

/// W_h of each direction in the order in which the steps' products read it, in slot 2: op(W_h) is [H, G*H]
/// forward (transposed), [G*H, H] backward.
std::vector<PackedMatrix> pack_weights(const Execution& exec, const RecurrentExtents& extents,
                                       const float* W_h, bool transposed);

/// run(part, worker) for each part.
template <class Run>
void run_parts(const Execution& exec, const std::vector<RecurrentPart>& parts, const Run& run) {
  const auto stride = static_cast<std::size_t>(exec.pool->size());
  const auto work = [&](int worker) {
    for (auto i = static_cast<std::size_t>(worker); i < parts.size(); i += stride) run(parts[i], worker);
  };
  if (parts.size() == 1) return work(0);
  exec.pool->run(work);
}

/// Where things are for the steps of a part: row i is its i-th sequence, and the first alive(t) rows have a
/// step t. Matrices of the call are counted in vectors of H (or of gates): [N, D, .] and [B, D, .].
struct RecurrentSteps {
  RecurrentSteps(const RecurrentExtents& extents, const RecurrentPart& the_part)
      : x(extents),
        part(the_part),
        H(x.H),
        D(x.directions()),
        GH(x.gates() * x.H),
        direction(part.direction),
        rows(static_cast<std::int64_t>(part.sequences.size())),
        lstm(x.cell == Recurrence::lstm) {}

  const RecurrentExtents& x;
  const RecurrentPart& part;
  std::int64_t H, D, GH, direction, rows;
  bool lstm;

  std::int64_t sequence(std::int64_t i) const { return part.sequences[static_cast<std::size_t>(i)]; }
  std::int64_t length(std::int64_t i) const { return x.count[sequence(i)]; }
  std::int64_t longest() const { return rows ? length(0) : 0; }
  std::int64_t alive(std::int64_t t) const {
    const auto first_over = std::partition_point(part.sequences.begin(), part.sequences.end(),
                                                 [&](std::int64_t b) { return x.count[b] > t; });
    return first_over - part.sequences.begin();
  }
  std::int64_t of_step(std::int64_t i, std::int64_t t) const {
    return reference::row_of_step(x, direction, sequence(i), t) * D + direction;
  }
  std::int64_t of_sequence(std::int64_t i) const { return sequence(i) * D + direction; }
};

/// Matrices of a worker, cut from its memory of slot 3, each on cache lines of its own. First all are asked
/// for (from nothing), then again, from memory of the size that this took.
class RecurrentMemory {
 public:
  explicit RecurrentMemory(float* memory = nullptr) : memory_(memory) {}
  float* take(std::int64_t floats) {
    float* piece = memory_ ? memory_ + used_ : nullptr;
    used_ += (static_cast<std::size_t>(floats) + 15) / 16 * 16;
    return piece;
  }
  std::size_t used() const { return used_; }

 private:
  float* memory_;
  std::size_t used_ = 0;
};

}  // namespace fovea::kernels
