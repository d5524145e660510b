#pragma once

#include <cstdint>

#include "fovea/base/random.h"
#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Where an operand's heads lie: head h of row r begins at data + r*row + h*head; its elements are
/// contiguous.
struct HeadStrides {
  std::int64_t row = 0, head = 0;  ///< floats
};

/// A call of attention over a batch of sequences of any lengths, without padding.
/// Sequence b has its queries in rows q_start[b] .. q_start[b] + q_count[b] - 1 of q and out, and its keys
/// and values in rows k_start[b] .. + k_count[b] - 1 of k and v; so a [B,T,H,E] tensor, packed sequences, a
/// packed QKV matrix and a slot of a cache are all the same call. With `key_rows`, key j of sequence b lies
/// in row key_rows[k_start[b] + j] instead: how beams find their past by index.
struct AttentionExtents {
  std::int64_t sequences = 0;
  std::int64_t heads = 0;        ///< query heads H
  std::int64_t kv_heads = 0;     ///< divides H; query head h reads key head h / (H / kv_heads)
  std::int64_t key_width = 0;    ///< E of queries and keys
  std::int64_t value_width = 0;  ///< E of values and out
  HeadStrides q, k, v, out;
  const std::int64_t* q_start = nullptr;  ///< [sequences]
  const std::int64_t* q_count = nullptr;
  const std::int64_t* k_start = nullptr;
  const std::int64_t* k_count = nullptr;
  const std::int32_t* key_rows = nullptr;
  bool causal = false;  ///< query t sees keys j <= t + k_count - q_count (aligned to the end)
  float scale = 1.0f;   ///< multiplies q.k, 1/sqrt(E) as a rule
  Dropout dropout;      ///< on the weights; element of (b,h,t,j): ((b*H + h) << 40) + t*k_count[b] + j
};

/// out[t,h] = sum_j w[j] v[j],  w = dropout(softmax_j(scale * q[t,h].k[j,h]) over visible j).
/// log_sum_exp, if given, is [H, rows of q] with row stride `lse_stride`: log sum_j exp(scale q.k); what
/// backward needs. weights, if given: [sequences][H][q_count][k_count] packed one after another, after
/// softmax, before dropout. A row that sees nothing gives zeros (log_sum_exp = -infinity). What is masked or
/// in rows of no sequence is never multiplied, so a NaN there does not leak; a NaN that is seen stays one. A
/// sequence's bits depend on its own lengths and operands alone, not on its neighbours or the number of
/// threads. Cost: T*S*(E + Ev) multiply-adds a head (half if causal), memory O(T + S) a worker, none
/// allocated once warm. Throws Error(bug) if kv_heads does not divide heads, a width is not positive, or
/// dropout is not in [0, 1). Source: Vaswani et al. 2017, section 3.2.1; online softmax: Milakov and
/// Gimelshein 2018, Dao et al. 2022.
void attention_forward(const Execution& exec, const AttentionExtents& extents, const float* q, const float* k,
                       const float* v, float* out, float* log_sum_exp, std::int64_t lse_stride,
                       float* weights = nullptr);

/// Gradients of attention_forward; d_q, d_k, d_v have the strides of q, k, v and are overwritten in the rows
/// that the sequences own (rows of no sequence are left alone). Recomputes the weights from log_sum_exp: no
/// [T,S] is kept. `key_rows` is not served here (Error: bug). Same bits for any number of threads.
void attention_backward(const Execution& exec, const AttentionExtents& extents, const float* q,
                        const float* k, const float* v, const float* out, const float* log_sum_exp,
                        std::int64_t lse_stride, const float* d_out, float* d_q, float* d_k, float* d_v);

}  // namespace fovea::kernels
