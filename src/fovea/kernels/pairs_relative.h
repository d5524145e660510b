#pragma once

#include <cstdint>

#include "fovea/kernels/pairs.h"
#include "fovea/kernels/pairs_visibility.h"

namespace fovea::kernels {

/// Between pairs and one number a query, head and clipped distance: by_distance [N_q, H, 2R + 1], where key j
/// is at r = clip(j - i, -R, R) + R from query t at position i. The two are each other's transposes.
struct ClippedDistances {
  RowAlignment alignment = RowAlignment::end;
  std::int64_t reach = 0;  ///< R
};

/// pairs[h,t,j] += by_distance[t,h,r(t,j)]
void spread_by_distance(const Execution& exec, const PairExtents& x, const ClippedDistances& distances,
                        const float* by_distance, float* pairs);

/// by_distance[t,h,r] = sum of pairs[h,t,j] over the j at distance r; rows of no sequence are left alone.
void gather_by_distance(const Execution& exec, const PairExtents& x, const ClippedDistances& distances,
                        const float* pairs, float* by_distance);

}  // namespace fovea::kernels
