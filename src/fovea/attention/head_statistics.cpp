#include "fovea/attention/head_statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fovea::attention {
namespace {

// The statistics of a row of one head whose weights sum to `sum`.
struct Row {
  const float* weights;
  double sum;
  std::int64_t seen;     // columns
  std::int64_t special;  // the column of the end of sentence or the start symbol
  double home;
};

HeadStatistics of_row(const Row& row) {
  HeadStatistics found;
  for (std::int64_t s = 0; s < row.seen; ++s) {
    const double w = static_cast<double>(row.weights[s]) / row.sum;
    const double apart = std::abs(static_cast<double>(s) - row.home);
    if (w > 0.0) found.entropy -= w * std::log(w);
    found.distance += w * apart;
    if (apart <= 1.0) found.diagonal += w;
    if (s == row.special) {
      found.end = w;
    } else {
      found.confidence = std::max(found.confidence, w);
    }
  }
  return found;
}

void add(HeadStatistics& to, const HeadStatistics& row) {
  to.entropy += row.entropy;
  to.distance += row.distance;
  to.diagonal += row.diagonal;
  to.end += row.end;
  to.confidence += row.confidence;
}

void divide(HeadStatistics& sums, double rows) {
  for (double* sum : {&sums.entropy, &sums.distance, &sums.diagonal, &sums.end, &sums.confidence})
    *sum /= rows;
}

}  // namespace

HeadStatistics head_statistics(const float* weights, std::int64_t T, std::int64_t S, Side side) {
  HeadStatistics mean;
  mean.side = side;
  const double slope =
      side == Side::cross && T > 1 ? static_cast<double>(S - 1) / static_cast<double>(T - 1) : 1.0;
  double rows = 0.0, spread_rows = 0.0;
  for (std::int64_t t = 0; t < T; ++t) {
    Row row{weights + t * S, 0.0, side == Side::decoder ? std::min(t + 1, S) : S,
            side == Side::decoder ? 0 : S - 1, slope * static_cast<double>(t)};
    row.sum = std::accumulate(row.weights, row.weights + row.seen, 0.0);
    if (!(row.sum > 0.0)) continue;
    const HeadStatistics found = of_row(row);
    add(mean, found);
    rows += 1.0;
    if (row.seen < 2) continue;
    mean.spread += found.entropy / std::log(static_cast<double>(row.seen));
    spread_rows += 1.0;
  }
  divide(mean, std::max(rows, 1.0));
  mean.spread /= std::max(spread_rows, 1.0);
  return mean;
}

std::vector<HeadStatistics> head_statistics(const Recording& recording) {
  std::vector<HeadStatistics> all;
  for (const auto& layer : recording.layers) {
    const std::int64_t T = layer.weights_HTS.dim(1), S = layer.weights_HTS.dim(2);
    for (std::int64_t h = 0; h < layer.weights_HTS.dim(0); ++h) {
      all.push_back(head_statistics(layer.weights_HTS.f32() + h * T * S, T, S, layer.side));
      all.back().layer = layer.layer;
      all.back().head = static_cast<int>(h);
    }
  }
  return all;
}

const RecordedLayer* clearest_layer(const Recording& recording, Side side, int head) {
  const RecordedLayer* clearest = nullptr;
  double most = -1.0;
  for (const auto& layer : recording.layers) {
    const std::int64_t H = layer.weights_HTS.dim(0), T = layer.weights_HTS.dim(1),
                       S = layer.weights_HTS.dim(2);
    if (layer.side != side || head >= H) continue;
    const Tensor mean = head < 0 ? mean_over_heads(layer.weights_HTS, H, T, S) : Tensor();
    const float* weights = head < 0 ? mean.f32() : layer.weights_HTS.f32() + head * T * S;
    const double confidence = head_statistics(weights, T, S, side).confidence;
    if (confidence > most) {
      most = confidence;
      clearest = &layer;
    }
  }
  return clearest;
}

}  // namespace fovea::attention
