// Attention for one instruction set, part by part. See for_each_isa.h.

// What the files below are made of, in this order.
#include "fovea/kernels/cpu/attention_base.inl"
//
#include "fovea/kernels/cpu/attention_product.inl"
//
#include "fovea/kernels/cpu/attention_rows.inl"
//
#include "fovea/kernels/cpu/attention_score.inl"
//
#include "fovea/kernels/cpu/attention_row.inl"
//
#include "fovea/kernels/cpu/attention_forward.inl"
//
#include "fovea/kernels/cpu/attention_backward.inl"
//
#include "fovea/kernels/cpu/attention_pairs.inl"
//
#include "fovea/kernels/cpu/attention_bias_gradient.inl"

void attention_backward(const AttentionBackward& call) {
  BackwardPlan(call).run();
  if (call.d.bias) bias_gradient<PairGradients>(call);
  if (call.d.relative) relative_gradient<PairGradients>(call);
}
