#pragma once

#include <cstdint>

#include "fovea/kernels/pairs.h"

namespace fovea::kernels {

/// What the tokens of sources are, arranged by row of the keys so that any sequence of queries that looks at
/// a source finds it by the source's first row: of a source that begins in row k, distinct[k] ..
/// distinct[k + count[k] - 1] are the ids that occur, and slot[k + j] says which of them token j is.
struct CopySource {
  const std::int32_t* slot = nullptr;      ///< [N_k]
  const std::int32_t* distinct = nullptr;  ///< [N_k]
  const std::int32_t* count = nullptr;     ///< [N_k]
};

/// The mixture of a pointer-generator (See et al. 2017, equation 9) over one vocabulary for both sides: with
/// g = p_gen, and a[j] the mean over heads of the weights,
///   p[v] = g softmax(logits)[v] + (1 - g) sum_{j: x_j = v} a[j]
/// Rows `first` .. first + rows - 1 are served, of the queries of `pairs`.
struct CopyExtents {
  PairExtents pairs;
  CopySource source;
  std::int64_t V = 0;
  std::int64_t first = 0, rows = 0;
  float smoothing = 0.0f;
  float weight = 1.0f;
  bool gradient = true;
};
struct CopyInputs {
  float* logits = nullptr;         ///< [rows, V]
  const float* p_gen = nullptr;    ///< [N], above 0 and at most 1
  const float* weights = nullptr;  ///< pairs
};

/// Cross-entropy of the mixture with label smoothing:
///   q = (1 - smoothing) onehot(target) + smoothing / V        loss = -sum_v q_v log p[v]
/// With the share that was generated, r[v] = g softmax[v] / p[v] (1 for what the source lacks), if `gradient`
///   d_logits = weight * (softmax sum_v q_v r[v] - q r), written over logits
///   d_p_gen = -weight * sum_v q_v (softmax[v] - copied[v]) / p[v]
///   d_weights[h,t,j] = -weight / H * q[x_j] (1 - g) / p[x_j]
/// Where nothing is copied log p is taken as log g + log softmax, which never runs out. losses, nll and
/// d_p_gen are [N], d_weights pairs; of them the rows served are written. Throws Error(bug) if a target lies
/// outside [0, V). A row's bits do not depend on the others. Uses slot 0 of the workspace.
struct CopyLosses {
  const std::int32_t* targets = nullptr;  ///< [N]
  float *losses = nullptr, *nll = nullptr;
  float *d_p_gen = nullptr, *d_weights = nullptr;
};
void copy_cross_entropy(const Execution& exec, const CopyExtents& x, const CopyInputs& in,
                        const CopyLosses& out);

/// log p, written over the logits: to search with.
void copy_log_probabilities(const Execution& exec, const CopyExtents& x, const CopyInputs& in);

}  // namespace fovea::kernels
