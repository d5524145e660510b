#pragma once

#include "fovea/base/bfloat16.h"
#include "fovea/kernels/cpu/attention_plan.h"

/// Calls of attention in bf16, and who serves them. `biases` are those of `in`, without operands: what the
/// code shared with f32 looks at.
namespace fovea::kernels::cpu {

struct AttentionForwardBf16 {
  const Execution& exec;
  const AttentionExtents& x;
  const AttentionInputsBf16& in;
  const AttentionInputs& biases;
  bfloat16* out;
  float* log_sum_exp;
  std::int64_t lse_stride;
};

struct AttentionBackwardBf16 {
  const Execution& exec;
  const AttentionExtents& x;
  const AttentionInputsBf16& in;
  const AttentionInputs& biases;
  const bfloat16* out;
  const float* log_sum_exp;
  std::int64_t lse_stride;
  const bfloat16* d_out;
  const AttentionGradientsBf16& d;
};

namespace plain::bf16 {
void attention_forward(const AttentionForwardBf16& call);
void attention_backward(const AttentionBackwardBf16& call);
}  // namespace plain::bf16
namespace avx2::bf16 {
void attention_forward(const AttentionForwardBf16& call);
void attention_backward(const AttentionBackwardBf16& call);
}  // namespace avx2::bf16
namespace avx512::bf16 {
void attention_forward(const AttentionForwardBf16& call);
void attention_backward(const AttentionBackwardBf16& call);
}  // namespace avx512::bf16
namespace avx512_dot16::bf16 {  // where has_16_bit_dot()
void attention_forward(const AttentionForwardBf16& call);
void attention_backward(const AttentionBackwardBf16& call);
}  // namespace avx512_dot16::bf16

}  // namespace fovea::kernels::cpu
