#pragma once

#include <algorithm>
#include <cstdint>

#include "fovea/base/random.h"
#include "fovea/kernels/cpu/loops.h"

/// Adds to each namespace of simd.h
///   dropout_multipliers(dropout, first, count, out)   as in kernels/dropout.h, for bodies of the same
///   namespace
#define FOVEA_BODY "fovea/kernels/cpu/dropout.inl"
#include "fovea/kernels/cpu/for_each_isa.h"
