#include "fovea/kernels/cpu/recurrent_parts.h"

#include <numeric>

namespace fovea::kernels {

std::vector<RecurrentPart> cut_in_parts(const RecurrentExtents& x, int threads) {
  // A tile of a product has 6 rows: parts of fewer sequences would read W_h more often than they gain.
  constexpr std::int64_t fewest = 6;
  const std::int64_t D = x.directions(), enough = (x.B + fewest - 1) / fewest;
  const std::int64_t groups = std::clamp<std::int64_t>(enough, 1, threads % D == 0 ? threads / D : threads);
  std::vector<std::int64_t> order(static_cast<std::size_t>(x.B));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return x.count[a] > x.count[b]; });
  std::vector<RecurrentPart> parts;
  for (std::int64_t direction = 0; direction < D; ++direction)
    for (std::int64_t group = 0; group < groups; ++group) {
      parts.push_back({direction, {}});
      for (std::int64_t round = 0; round * groups < x.B; ++round) {
        const std::int64_t i = round * groups + (round % 2 == 0 ? group : groups - 1 - group);
        if (i < x.B) parts.back().sequences.push_back(order[static_cast<std::size_t>(i)]);
      }
    }
  return parts;
}

std::vector<PackedMatrix> pack_weights(const Execution& exec, const RecurrentExtents& x, const float* W_h,
                                       bool transposed) {
  const std::int64_t GH = x.gates() * x.H, K = transposed ? x.H : GH, N = transposed ? GH : x.H;
  const std::size_t floats = (packed_floats(exec, K, N) + 15) / 16 * 16;
  float* memory = exec.workspace->get(0, 2, floats * static_cast<std::size_t>(x.directions()));
  std::vector<PackedMatrix> packed;
  for (std::int64_t d = 0; d < x.directions(); ++d, memory += floats)
    packed.push_back(pack_b(exec, K, N, W_h + d * GH * x.H, x.H, transposed, memory));
  return packed;
}

}  // namespace fovea::kernels
