#include "fovea/kernels/pairs_relative.h"

#include <algorithm>

#include "fovea/kernels/pairs_tasks.h"

namespace fovea::kernels {
namespace {

// body(row of pairs, row by distance, first, last, r, S): keys below `first` are at r = 0, those from `last`
// on at 2R, key j between at r + j - first.
template <class Body>
void for_each_row(const Execution& exec, const PairExtents& x, const ClippedDistances& distances,
                  const Body& body) {
  const std::int64_t R = distances.reach, width = 2 * R + 1;
  for_each_stretch(
      exec, x, x.heads, x.q_count, 64, 2 * x.elements(),
      [&](int, std::int64_t b, std::int64_t h, std::int64_t begin, std::int64_t end) {
        const std::int64_t S = x.k_count[b];
        const std::int64_t shift = distances.alignment == RowAlignment::end ? S - x.q_count[b] : 0;
        for (std::int64_t t = begin; t < end; ++t) {
          const std::int64_t i = t + shift;
          const std::int64_t first = std::clamp<std::int64_t>(i - R, 0, S);
          const std::int64_t last = std::clamp<std::int64_t>(i + R + 1, first, S);
          body(x.row(b, h, t), ((x.q_start[b] + t) * x.heads + h) * width, first, last, first - i + R, S);
        }
      });
}

}  // namespace

void spread_by_distance(const Execution& exec, const PairExtents& x, const ClippedDistances& distances,
                        const float* by_distance, float* pairs) {
  for_each_row(exec, x, distances,
               [&](std::int64_t at, std::int64_t from, std::int64_t first, std::int64_t last, std::int64_t r,
                   std::int64_t S) {
                 float* row = pairs + at;
                 const float *values = by_distance + from, before = values[0],
                             behind = values[2 * distances.reach];
                 for (std::int64_t j = 0; j < first; ++j) row[j] += before;
                 for (std::int64_t j = first; j < last; ++j) row[j] += values[r + j - first];
                 for (std::int64_t j = last; j < S; ++j) row[j] += behind;
               });
}

void gather_by_distance(const Execution& exec, const PairExtents& x, const ClippedDistances& distances,
                        const float* pairs, float* by_distance) {
  for_each_row(exec, x, distances,
               [&](std::int64_t at, std::int64_t into, std::int64_t first, std::int64_t last, std::int64_t r,
                   std::int64_t S) {
                 const float* row = pairs + at;
                 float* values = by_distance + into;
                 double before = 0.0, behind = 0.0;
                 for (std::int64_t j = 0; j < first; ++j) before += double{row[j]};
                 for (std::int64_t j = last; j < S; ++j) behind += double{row[j]};
                 std::fill(values, values + 2 * distances.reach + 1, 0.0f);
                 for (std::int64_t j = first; j < last; ++j) values[r + j - first] = row[j];
                 values[0] += static_cast<float>(before);
                 values[2 * distances.reach] += static_cast<float>(behind);
               });
}

}  // namespace fovea::kernels
