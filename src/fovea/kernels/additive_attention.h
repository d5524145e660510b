#pragma once

#include <cstdint>

#include "fovea/base/random.h"
#include "fovea/kernels/attention.h"
#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// A call of additive attention over a batch of sequences of any lengths, without padding. Sequence b has its
/// T queries in rows q_start[b] .. + q_count[b] - 1 of q and out, and its S keys and values in rows
/// k_start[b] ..
/// + k_count[b] - 1 of k and value; with `key_rows`, key j of sequence b lies in row key_rows[k_start[b] + j]
/// instead: how beams share the sentence they read.
struct AdditiveExtents {
  std::int64_t sequences = 0;    ///< B
  std::int64_t heads = 1;        ///< H, 1 as a rule
  std::int64_t width = 0;        ///< D of a head of q, k and v
  std::int64_t value_width = 0;  ///< E of a head of value and out
  HeadStrides q, k, value, out;
  const std::int64_t* q_start = nullptr;  ///< [sequences]
  const std::int64_t* q_count = nullptr;
  const std::int64_t* k_start = nullptr;
  const std::int64_t* k_count = nullptr;
  const std::int32_t* key_rows = nullptr;
  Visibility visible;
  Dropout dropout;  ///< on the weights; element of (b,h,t,j): ((b*H + h) << 40) + t*k_count[b] + j
};

/// What additive attention differentiates by: q = W s and k = U h (+ bias), projected by the caller; v [H,D].
template <class Real>
struct AdditiveInputsOf {
  const Real *q, *k, *v;
  const Real* value = nullptr;      ///< not read by scores
  const float* prepared = nullptr;  ///< of additive_prepare, by rows of k, or none
};
using AdditiveInputs = AdditiveInputsOf<float>;

/// Their gradients, overwritten: v whole, the others in the rows that sequences own, with the strides of q, k
/// and value.
template <class Real>
struct AdditiveGradientsOf {
  Real *q, *k, *v;
  Real* value = nullptr;  ///< not written by scores
};
using AdditiveGradients = AdditiveGradientsOf<float>;

/// Floats of a prepared row of keys.
std::int64_t additive_prepared_row(std::int64_t heads, std::int64_t width);

/// prepared[r] = what scores need of row r of k, for r < rows, once for all calls that read these keys: as
/// where a decoder asks the same sentence at every step, forward and backward. Rows may be prepared one by
/// one, as a cache grows.
void additive_prepare(const Execution& exec, std::int64_t rows, std::int64_t heads, std::int64_t width,
                      HeadStrides strides, const float* k, float* prepared);

/// score(t,j) = sum_d v[h,d] tanh(q[t,h,d] + k[j,h,d])
/// out[t,h] = sum_j w[j] value[j,h],  w = dropout(softmax_j(score(t,j)) over visible j).
/// log_sum_exp, if given, is [H, rows of q] with row stride `lse_stride`: log sum_j exp(score), what backward
/// and weights need. A row that sees nothing gives zeros (log_sum_exp = -infinity). What is hidden never
/// leaks, NaN included; a NaN that is seen stays one. A sequence's bits depend on its own lengths and
/// operands alone, not on its neighbours or the number of threads.
/// Cost     T*S*(D + E) a head. Where max|q[t]| + max|k[j]| < 21.9 a tanh costs four instructions, beyond
///          it some seven times as many. Memory of a tile a worker: nothing of [T,S,D] and no [T,S]
/// Throws   Error(bug) if a width is not positive, a window below zero, or dropout not in [0, 1)
/// Source   Bahdanau, Cho, Bengio 2015, appendix A.1.2
void additive_attention_forward(const Execution& exec, const AdditiveExtents& extents,
                                const AdditiveInputs& inputs, float* out, float* log_sum_exp,
                                std::int64_t lse_stride);

/// The weights before dropout, 0 where hidden: sequence after sequence, each [H, T, S].
void additive_attention_weights(const Execution& exec, const AdditiveExtents& extents,
                                const AdditiveInputs& inputs, const float* log_sum_exp,
                                std::int64_t lse_stride, float* weights);

/// Gradients of additive_attention_forward. Recomputes scores, keeps no [T,S] (at most a tile of queries by
/// S). `key_rows` is not served here (Error: bug). Same bits for any number of threads.
void additive_attention_backward(const Execution& exec, const AdditiveExtents& extents,
                                 const AdditiveInputs& inputs, const float* out, const float* log_sum_exp,
                                 std::int64_t lse_stride, const float* d_out,
                                 const AdditiveGradients& gradients);

/// The scores alone, for normalisers other than softmax: sequence after sequence, each [H, T, S], -infinity
/// where hidden. value, out and dropout are not looked at.
void additive_scores_forward(const Execution& exec, const AdditiveExtents& extents,
                             const AdditiveInputs& inputs, float* scores);

/// Gradients of additive_scores_forward; d_scores is not read where hidden. No `key_rows` (Error: bug).
void additive_scores_backward(const Execution& exec, const AdditiveExtents& extents,
                              const AdditiveInputs& inputs, const float* d_scores,
                              const AdditiveGradients& gradients);

/// The gradient of q alone, for who gathers those of k and v over many calls (ops/stepwise.h); as above, but
/// serves `key_rows`. Reads no more than forward does and writes nothing of the keys' size.
void additive_scores_backward_to_queries(const Execution& exec, const AdditiveExtents& extents,
                                         const AdditiveInputs& inputs, const float* d_scores, float* d_q);

}  // namespace fovea::kernels
