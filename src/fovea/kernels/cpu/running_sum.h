#pragma once

#include <cmath>
#include <limits>

namespace fovea::kernels::cpu {

/// sum of exp(x - max) over blocks of a row, each with one pass over memory: a block's largest element first
/// raises `max`, and the block then adds its own sum relative to it. A row of -infinity has the sum 0.
/// Source: online softmax, Milakov and Gimelshein 2018, by blocks.
struct RunningSum {
  float max = std::numeric_limits<float>::lowest();
  double sum = 0;

  void raise(float block_max) {
    if (!(block_max > max)) return;
    sum *= std::exp(static_cast<double>(max) - block_max);
    max = block_max;
  }
  double log() const { return max + std::log(sum); }
};

}  // namespace fovea::kernels::cpu
