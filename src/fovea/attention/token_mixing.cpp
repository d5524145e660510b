#include "fovea/attention/token_mixing.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "fovea/base/error.h"

namespace fovea::attention {

Matrix Matrix::zeros(std::int64_t rows, std::int64_t columns) {
  return {rows, columns, std::vector<double>(static_cast<std::size_t>(rows * columns), 0.0)};
}

Matrix Matrix::identity(std::int64_t rows) {
  Matrix matrix = zeros(rows, rows);
  for (std::int64_t t = 0; t < rows; ++t) matrix.row(t)[t] = 1.0;
  return matrix;
}

Matrix product(const Matrix& left, const Matrix& right) {
  if (left.columns != right.rows)
    throw Error(Error::Kind::bug, "rollout",
                "a product of " + std::to_string(left.columns) + " columns and " +
                    std::to_string(right.rows) + " rows");
  Matrix out = Matrix::zeros(left.rows, right.columns);
  for (std::int64_t t = 0; t < left.rows; ++t) {
    double* const to = out.row(t);
    for (std::int64_t k = 0; k < left.columns; ++k) {
      const double share = left.row(t)[k];
      const double* const from = right.row(k);
      for (std::int64_t s = 0; s < right.columns; ++s) to[s] += share * from[s];
    }
  }
  return out;
}

void normalise_rows(Matrix& matrix) {
  for (std::int64_t t = 0; t < matrix.rows; ++t) {
    double* const row = matrix.row(t);
    const double sum = std::accumulate(row, row + matrix.columns, 0.0);
    if (sum == 0.0) continue;
    for (std::int64_t s = 0; s < matrix.columns; ++s) row[s] /= sum;
  }
}

TokenMixing token_mixing(const RecordedLayer& layer) {
  const Tensor& weights = layer.weights_HTS;
  const std::int64_t H = weights.dim(0), T = weights.dim(1), S = weights.dim(2);
  TokenMixing mixing{Matrix::zeros(T, S), {}};
  for (std::int64_t h = 0; h < H; ++h)
    for (std::int64_t i = 0; i < T * S; ++i)
      mixing.attended.values[static_cast<std::size_t>(i)] +=
          static_cast<double>(weights.f32()[h * T * S + i]) / static_cast<double>(H);
  for (std::int64_t t = 0; t < T; ++t) {
    double* const row = mixing.attended.row(t);
    const double whole = 1.0 + std::accumulate(row, row + S, 0.0);
    for (std::int64_t s = 0; s < S; ++s) row[s] /= whole;
    mixing.kept.push_back(1.0 / whole);
  }
  return mixing;
}

Matrix self_mixing(const RecordedLayer& layer) {
  TokenMixing mixing = token_mixing(layer);
  if (mixing.attended.rows != mixing.attended.columns)
    throw Error(Error::Kind::bug, "rollout",
                "self-attention over " + std::to_string(mixing.attended.rows) + " by " +
                    std::to_string(mixing.attended.columns) + " tokens");
  for (std::int64_t t = 0; t < mixing.attended.rows; ++t)
    mixing.attended.row(t)[t] += mixing.kept[static_cast<std::size_t>(t)];
  return std::move(mixing.attended);
}

RecordedLayer as_layer(Side side, int layer, const Matrix& matrix) {
  Tensor weights = Tensor::empty({1, matrix.rows, matrix.columns});
  std::ranges::transform(matrix.values, weights.f32(), [](double w) { return static_cast<float>(w); });
  return {side, layer, weights};
}

int last_layer(const Recording& recording, Side side, int through) {
  int last = -1;
  for (const auto& layer : recording.layers)
    if (layer.side == side) last = std::max(last, layer.layer);
  const std::string what = std::string(name(side)) + " attention";
  if (last < 0) throw Error(Error::Kind::usage, what, "the model has none");
  if (through > last)
    throw Error(Error::Kind::usage, what, "there is no layer " + std::to_string(through),
                "choose one of 0 to " + std::to_string(last));
  return through < 0 ? last : through;
}

}  // namespace fovea::attention
