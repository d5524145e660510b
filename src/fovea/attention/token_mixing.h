#pragma once

#include <cstdint>
#include <vector>

#include "fovea/attention/record.h"

/// What rollout and flow are computed from: how a layer mixes its tokens, the way around the attention (the
/// residual connection) included.
namespace fovea::attention {

/// A dense matrix of doubles: products over many layers are taken in it.
struct Matrix {
  std::int64_t rows = 0, columns = 0;
  std::vector<double> values;  ///< [rows, columns]

  static Matrix zeros(std::int64_t rows, std::int64_t columns);
  static Matrix identity(std::int64_t rows);
  double* row(std::int64_t t) { return values.data() + t * columns; }
  const double* row(std::int64_t t) const { return values.data() + t * columns; }
};

/// left right, [T, K] by [K, S].
Matrix product(const Matrix& left, const Matrix& right);
/// Divides each row by its sum; rows of zeros stay.
void normalise_rows(Matrix& matrix);

/// One sublayer as rollout sees it: half of a token's state comes by attention, half goes past it.
///   attended[t,s] = w[t,s] / (1 + sum_s w[t,s]),  kept[t] = 1 / (1 + sum_s w[t,s])
/// with w the mean over heads. For rows that sum to one that is W / 2 and 1 / 2; a row that sees nothing
/// keeps all.
/// Source   Abnar and Zuidema 2020, section 3: A = 0.5 W + 0.5 I, normalised again
struct TokenMixing {
  Matrix attended;
  std::vector<double> kept;
};
TokenMixing token_mixing(const RecordedLayer& layer);

/// attended + diag(kept) of a layer of self-attention: its rows sum to one.
Matrix self_mixing(const RecordedLayer& layer);

/// The matrix as a layer of one head.
RecordedLayer as_layer(Side side, int layer, const Matrix& matrix);

/// The number of the last layer of a side, or `through` if it is not negative. Throws Error(usage) if the
/// recording has no such layer, naming what there is.
int last_layer(const Recording& recording, Side side, int through);

}  // namespace fovea::attention
