#pragma once

#include <cstdint>

#include "fovea/kernels/cpu/simd.h"

/// Adds to each namespace of simd.h
///   over_vectors(count, body)   body(i, lanes) for i = 0, width, 2 width, ... below count, where `lanes`
///   reads and
///                               writes what of a vector lies within count (Whole, or First for the last one)
#define FOVEA_BODY "fovea/kernels/cpu/loops.inl"
#include "fovea/kernels/cpu/for_each_isa.h"
