#pragma once

#include "fovea/tensor/tensor.h"

namespace fovea::ops {

/// The angles of rotary positions, [positions, rotated/2] each; see attention/rotary.h for how they are made.
/// The tiled kernel reads the same tables (kernels/attention.h).
struct RotaryTables {
  Tensor cos, sin;
  bool interleaved = false;  ///< pairs are elements (2e, 2e + 1) of a head, else (e, e + rotated/2)

  std::int64_t positions() const { return cos.dim(0); }
  std::int64_t rotated() const { return 2 * cos.dim(1); }  ///< elements of a head that turn: the first ones
};

}  // namespace fovea::ops
