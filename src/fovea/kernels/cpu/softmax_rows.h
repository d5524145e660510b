#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "fovea/kernels/cpu/softmax_block.h"

/// Adds to each namespace of simd.h the two passes over a row of logits that a loss takes: the first reads it
/// in blocks that fit L1, the second goes over it block by block, out of L2.
///   sum_row<keep>(x, V, row)           sums of exponentials (from the running max) and of logits; with keep,
///                                      exp(x - running max) is left in x
///   scale_row(x, V, row, scale, less)  x = scale * softmax - less, from what sum_row<true> left there
#define FOVEA_BODY "fovea/kernels/cpu/softmax_rows.inl"
#include "fovea/kernels/cpu/for_each_isa.h"
