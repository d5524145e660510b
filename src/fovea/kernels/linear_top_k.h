#pragma once

#include "fovea/kernels/packed_linear.h"
#include "fovea/kernels/top_k.h"

namespace fovea::kernels {

/// The k best log-probabilities of an output layer, whose logits x W^T + bias [M,N] are never written: each
/// thread takes a share of the columns, and of a block of them that stays in its caches the maximum, the sum
/// of exponentials and the selection of each row. Same bits as linear(), then top_k_log_softmax(): of a row
/// whatever the other rows and the number of threads.
/// W may be rows gathered from a vocabulary, which choice.names names, and rows of x may be allowed different
/// ones of these.
/// Shapes  x [M,K] (row stride x_stride; 0: K), bias [N] or null, log_probs and ids [M,k]
/// Uses slots 0, 1, 2 and 7 of the workspace. Throws Error(bug) as linear() and top_k_log_softmax() do.
void linear_top_k(const Execution& exec, std::int64_t M, const float* x, const PackedLinear& weights,
                  const float* bias, const TopKChoice& choice, float* log_probs, std::int32_t* ids,
                  std::int64_t x_stride = 0);

}  // namespace fovea::kernels
