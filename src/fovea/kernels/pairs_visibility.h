#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "fovea/kernels/pairs.h"

namespace fovea::kernels {

/// Against which key the first query stands when T differs from S: query t has position i = t + S - T (its
/// last query is with the last key) or i = t.
enum class RowAlignment : std::uint8_t { end, start };

/// Which keys j of its sequence the query at position i sees: all that every given condition admits.
///   causal   j <= i, or j < prefix[b]
///   window   i - left <= j <= i + right (below 0: no bound on that side), or j < prefix[b]
///   centre   |j - round(centre)| <= reach, centre of each query (and head): Luong et al. 2015, local-p
///   mask     any boolean mask over pairs, not 0 = visible
struct PairVisibility {
  RowAlignment alignment = RowAlignment::end;
  bool causal = false;
  std::int64_t left = -1, right = -1;
  const std::int64_t* prefix = nullptr;  ///< [sequences] keys that everyone sees, or none
  const float* centre = nullptr;         ///< [N_q, centre_heads], or none
  std::int64_t centre_heads = 1;         ///< 1 or H
  std::int64_t reach = 0;
  const std::uint8_t* mask = nullptr;  ///< sequence after sequence [mask_heads, T_b, S_b], or none
  std::int64_t mask_heads = 1;         ///< 1 or H
};

/// The keys that one row sees: [0, prefix) and [begin, end), where `mask` (if any) agrees.
struct VisibleKeys {
  std::int64_t prefix = 0, begin = 0, end = 0;
  const std::uint8_t* mask = nullptr;

  bool one_range() const { return prefix == 0 && !mask; }
  bool sees(std::int64_t j) const {
    return (j < prefix || (j >= begin && j < end)) && (!mask || mask[j] != 0);
  }
};

inline VisibleKeys visible_keys(const PairExtents& x, const PairVisibility& v, std::int64_t b, std::int64_t h,
                                std::int64_t t) {
  const std::int64_t T = x.q_count[b], S = x.k_count[b];
  const std::int64_t i = v.alignment == RowAlignment::end ? t + S - T : t;
  VisibleKeys keys{0, 0, S, nullptr};
  if (v.causal) keys.end = std::min(keys.end, i + 1);
  if (v.left >= 0) keys.begin = std::max(keys.begin, i - v.left);
  if (v.right >= 0) keys.end = std::min(keys.end, i + v.right + 1);
  if (v.prefix) keys.prefix = std::clamp<std::int64_t>(v.prefix[b], 0, S);
  if (v.centre) {
    const float at = v.centre[(x.q_start[b] + t) * v.centre_heads + (v.centre_heads > 1 ? h : 0)];
    const double nearest = std::clamp(std::nearbyint(static_cast<double>(at)), -4e18, 4e18);
    const std::int64_t first =
        std::isnan(at) || nearest - static_cast<double>(v.reach) > static_cast<double>(S)
            ? S
            : static_cast<std::int64_t>(std::max(0.0, nearest - static_cast<double>(v.reach)));
    const std::int64_t last =
        std::isnan(at) ? 0
                       : static_cast<std::int64_t>(std::clamp(nearest + static_cast<double>(v.reach) + 1.0,
                                                              0.0, static_cast<double>(S)));
    keys.begin = std::max(keys.begin, first);
    keys.end = std::min(keys.end, last);
    keys.prefix = 0;
  }
  keys.end = std::max(keys.end, keys.begin);
  if (keys.prefix > 0 && keys.prefix >= keys.begin) {
    keys.end = std::max(keys.end, keys.prefix);
    keys.begin = keys.prefix = 0;
  }
  if (v.mask) {
    const std::int64_t head = v.mask_heads > 1 ? h : 0;
    keys.mask = v.mask + x.offset[b] / x.heads * v.mask_heads + (head * T + t) * S;
  }
  return keys;
}

}  // namespace fovea::kernels
