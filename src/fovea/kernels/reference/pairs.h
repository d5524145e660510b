#pragma once

#include <cstdint>

#include "fovea/kernels/pairs.h"

/// The products of kernels/pairs.h as loops in double, one pair at a time.
namespace fovea::kernels::reference {

void pair_dot(const PairProduct& x, float scale, const float* rows, const float* keys, float* pairs);
void pair_mix(const PairProduct& x, const float* pairs, const float* keys, bool accumulate, float* rows);
void pair_mix_transposed(const PairProduct& x, const float* pairs, const float* rows, float* keys);

}  // namespace fovea::kernels::reference
