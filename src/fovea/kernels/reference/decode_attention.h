#pragma once

#include "fovea/kernels/decode_attention.h"

/// Attention over a cache as its formula reads, in double, on what the cache holds after rounding. `Real` is
/// float or double; log_sum_exp may be null. See fovea/kernels/decode_attention.h for the arguments.
namespace fovea::kernels::reference {

template <class Real>
void decode_attention(const DecodeExtents& extents, const CacheView& cache, const Real* q, Real* out,
                      Real* log_sum_exp, std::int64_t lse_stride);

}  // namespace fovea::kernels::reference
