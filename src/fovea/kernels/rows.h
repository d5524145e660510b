#pragma once

#include <cstdint>

#include "fovea/base/random.h"
#include "fovea/kernels/activation.h"
#include "fovea/kernels/execution.h"

/// What lies between matrix products: operations on rows [N, D], row-major and contiguous. All are memory-bound, so each
/// does as much as it can in one pass.
namespace fovea::kernels {

/// What is summed before a norm: y = norm(residual + dropout(x)).
///   sum[n,:]  = residual[n,:] + m * x[n,:],  m = dropout.multiplier(n*D + d); without residual: sum = m * x
///   y[n,:]    = (sum - mean) * rstd * gamma + beta,  rstd = 1/sqrt(variance + eps), biased variance
/// x, residual, sum, y may be equal pointers where that makes sense (sum == x, y == sum if sum is not needed).
struct NormExtents {
  std::int64_t N = 0, D = 0;
  float eps = 1e-5f;
  Dropout dropout;
};

/// sum (nullable) receives what was normalised; mean, rstd [N] (nullable together) what backward needs.
void layer_norm_forward(const Execution& exec, const NormExtents& extents, const float* x, const float* residual,
                        const float* gamma, const float* beta, float* sum, float* y, float* mean, float* rstd);

/// Given d_y: d_sum [N,D] (gradient of the sum, hence of the residual), d_x = m * d_sum (nullable; may equal d_sum only
/// without dropout), and d_gamma, d_beta [D] are added to. d_residual_in (nullable) is a further gradient that reaches
/// the sum from elsewhere (pre-norm's second branch) and is added into d_sum. Same bits for the same number of threads.
void layer_norm_backward(const Execution& exec, const NormExtents& extents, const float* d_y, const float* sum,
                         const float* mean, const float* rstd, const float* gamma, const float* d_residual_in,
                         float* d_sum, float* d_x, float* d_gamma, float* d_beta);

/// out = residual + dropout(x) over N*D elements; residual may be null (plain dropout). out may equal x or residual.
void residual_dropout(const Execution& exec, std::int64_t count, const Dropout& dropout, const float* x,
                      const float* residual, float* out);

/// out = dropout(activation(pre)); in place allowed.
void activation_forward(const Execution& exec, std::int64_t count, Activation activation, const Dropout& dropout,
                        const float* pre, float* out);

/// d_pre = d_out * m * activation'(pre). For relu `pre` may be the activation's output. In place allowed (d_pre == d_out).
void activation_backward(const Execution& exec, std::int64_t count, Activation activation, const Dropout& dropout,
                         const float* pre, const float* d_out, float* d_pre);

/// d_bias[d] += sum_n d_y[n,d]. Same bits for the same number of threads.
void column_sum(const Execution& exec, std::int64_t N, std::int64_t D, const float* d_y, float* d_bias);

/// out[n,:] = dropout(scale * table[ids[n],:] + positions[position[n],:]); positions may be null. [V,D], [P,D] -> [N,D].
struct EmbedExtents {
  std::int64_t N = 0, D = 0;
  float scale = 1.0f;
  Dropout dropout;
};
void embed_forward(const Execution& exec, const EmbedExtents& extents, const std::int32_t* ids, const float* table,
                   const std::int32_t* position, const float* positions, float* out);

/// d_table[ids[n],:] += scale * m * d_out[n,:]; d_positions (nullable) += m * d_out. Threads cut D, so that rows of one
/// id are summed in order of n: the same bits for any number of threads.
void embed_backward(const Execution& exec, const EmbedExtents& extents, const std::int32_t* ids,
                    const std::int32_t* position, const float* d_out, float* d_table, float* d_positions);

/// Cross-entropy with label smoothing over rows of logits [N,V], fused with softmax and its gradient:
///   q = (1 - smoothing) onehot(target) + smoothing / V        loss = -sum_v q_v log softmax(logits)_v
///   d_logits = weight * (softmax - q), written over logits if `gradient`
/// losses [N] receives each row's loss in nats; nll [N] (nullable) -log p(target) without smoothing. No ignored targets:
/// batches are packed. A target outside [0, V) is a bug (Error).
struct CrossEntropyExtents {
  std::int64_t N = 0, V = 0;
  float smoothing = 0.0f;
  float weight = 1.0f;
  bool gradient = true;
};
void cross_entropy(const Execution& exec, const CrossEntropyExtents& extents, float* logits, const std::int32_t* targets,
                   float* losses, float* nll);

/// For each row of logits [N,V]: the k largest log-probabilities (log softmax over the V logits, with the entries of
/// `banned` ids taken as absent), best first, ties to the smaller id. log_probs, ids: [N,k]. One pass for the
/// log-sum-exp and the selection: no log-softmax over V is written. Same result for any thread count and N.
void top_k_log_softmax(const Execution& exec, std::int64_t N, std::int64_t V, std::int64_t k, const float* logits,
                       const std::int32_t* banned, std::int64_t banned_count, float* log_probs, std::int32_t* ids);

}  // namespace fovea::kernels
