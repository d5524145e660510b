#pragma once

#include "fovea/kernels/attention.h"

/// Attention in bf16 as its formulas read: operands widened, sums in double, results rounded once.
namespace fovea::kernels::reference {

void attention_forward(const AttentionExtents& extents, const AttentionInputsBf16& in, bfloat16* out,
                       float* log_sum_exp, std::int64_t lse_stride);

void attention_backward(const AttentionExtents& extents, const AttentionInputsBf16& in, const bfloat16* out,
                        const float* log_sum_exp, std::int64_t lse_stride, const bfloat16* d_out,
                        const AttentionGradientsBf16& d);

}  // namespace fovea::kernels::reference
