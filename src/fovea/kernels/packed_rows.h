#pragma once

#include <cstddef>
#include <cstdint>

#include "fovea/kernels/packed_linear.h"

namespace fovea::kernels {

/// Row n of W as it is held: K elements of its dtype; of i8 the integers, whose scale is weights.scales()[n].
void copy_row(const PackedLinear& weights, std::int64_t n, std::byte* to);

}  // namespace fovea::kernels
