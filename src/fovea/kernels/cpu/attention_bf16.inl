// Attention in bf16 for one instruction set, part by part. Operands are held in units of 32 bits: pairs of
// bf16 where the processor multiplies pairs, else floats. See for_each_isa.h.

namespace bf16 {  // attention in f32 has classes of the same names
#include "fovea/kernels/cpu/attention_base.inl"
//
#include "fovea/kernels/cpu/attention_product.inl"
//
#include "fovea/kernels/cpu/attention_rows.inl"
//
#include "fovea/kernels/cpu/attention_score.inl"
//
#include FOVEA_ATTENTION_UNITS
//
#include "fovea/kernels/cpu/attention_bf16_product.inl"
//
#include "fovea/kernels/cpu/attention_bf16_rows.inl"
//
#include "fovea/kernels/cpu/attention_bf16_forward.inl"
//
#include "fovea/kernels/cpu/attention_bias_gradient.inl"
//
#include "fovea/kernels/cpu/attention_bf16_backward.inl"
}  // namespace bf16
