#pragma once

#include <cstdint>
#include <limits>

#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/cpu/running_sum.h"

/// Adds to each namespace of simd.h what softmax kernels over long rows do with a block of a row that fits L1
///   block_max(x, count)   the largest element, -infinity if there is none; NaN is passed over
#define FOVEA_BODY "fovea/kernels/cpu/softmax_block.inl"
#include "fovea/kernels/cpu/for_each_isa.h"
