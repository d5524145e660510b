#pragma once

#include <algorithm>
#include <cstdint>

#include "fovea/kernels/conv.h"

namespace fovea::kernels {

/// Taps u of a kernel that begins at `first` (which may lie outside) and stay within [0, extent):
/// taps_begin .. taps_end - 1.
constexpr std::int64_t taps_begin(std::int64_t first, std::int64_t dilation) {
  return first >= 0 ? 0 : (-first + dilation - 1) / dilation;
}
constexpr std::int64_t taps_end(std::int64_t first, std::int64_t dilation, std::int64_t extent,
                                std::int64_t taps) {
  return first >= extent ? 0 : std::min(taps, (extent - first + dilation - 1) / dilation);
}

/// The output whose tap `tap` looks at position `at`, or -1 (it may lie beyond the last).
constexpr std::int64_t output_at(std::int64_t at, std::int64_t tap, const ConvExtents& e) {
  const std::int64_t steps = at + e.padding - tap * e.dilation;
  return steps < 0 || steps % e.stride != 0 ? -1 : steps / e.stride;
}

}  // namespace fovea::kernels
