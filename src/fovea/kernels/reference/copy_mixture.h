#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "fovea/kernels/copy_mixture.h"

namespace fovea::kernels::reference {

/// What is said of an id: its probability of the vocabulary and, r, the share of p that is generated; and
/// d log p / d g. Where nothing is copied, log p = log g + log softmax, however small that is.
struct CopyId {
  double generated, p, log_p, r, slope;
};

/// The ids of a row.
inline std::vector<CopyId> copy_row(const CopyExtents& x, const CopyInputs& in, std::int64_t b,
                                    std::int64_t t) {
  const std::int64_t V = x.V, n = x.pairs.q_start[b] + t, start = x.pairs.k_start[b];
  const float* logits = in.logits + (n - x.first) * V;
  const double g = in.p_gen[n];
  std::vector<double> copied(static_cast<std::size_t>(V));
  for (std::int64_t h = 0; h < x.pairs.heads; ++h)
    for (std::int64_t j = 0; j < x.pairs.k_count[b]; ++j)
      copied[static_cast<std::size_t>(x.source.distinct[start + x.source.slot[start + j]])] +=
          double(in.weights[x.pairs.row(b, h, t) + j]) / static_cast<double>(x.pairs.heads);
  double max = -std::numeric_limits<double>::infinity(), sum = 0;
  for (std::int64_t v = 0; v < V; ++v) max = std::max(max, double(logits[v]));
  for (std::int64_t v = 0; v < V; ++v) sum += std::exp(logits[v] - max);
  std::vector<CopyId> row;
  for (std::int64_t v = 0; v < V; ++v) {
    const double log_generated = logits[v] - max - std::log(sum), generated = std::exp(log_generated);
    const double c = copied[static_cast<std::size_t>(v)], p = g * generated + (1 - g) * c;
    if (c > 0)
      row.push_back({generated, p, std::log(p), g * generated / p, (generated - c) / p});
    else
      row.push_back({generated, p, std::log(g) + log_generated, 1.0, 1 / g});
  }
  return row;
}

/// Rows begin .. end - 1 of sequence b.
inline void copy_cross_entropy(const CopyExtents& x, const CopyInputs& in, const CopyLosses& out,
                               std::int64_t b, std::int64_t begin, std::int64_t end, float*) {
  const std::int64_t V = x.V, start = x.pairs.k_start[b];
  for (std::int64_t t = begin; t < end; ++t) {
    const std::vector<CopyId> row = copy_row(x, in, b, t);
    const std::int64_t n = x.pairs.q_start[b] + t, target = out.targets[n];
    const auto q = [&](std::int64_t v) {
      return (v == target ? 1.0 - x.smoothing : 0.0) + double(x.smoothing) / static_cast<double>(V);
    };
    const auto id = [&](std::int64_t v) -> const CopyId& { return row[static_cast<std::size_t>(v)]; };
    double loss = 0, generated = 0, d_g = 0;  // generated: sum of q r
    for (std::int64_t v = 0; v < V; ++v) {
      if (q(v) == 0) continue;
      loss -= q(v) * id(v).log_p;
      generated += q(v) * id(v).r;
      d_g -= q(v) * id(v).slope;
    }
    out.losses[n] = static_cast<float>(loss);
    out.nll[n] = static_cast<float>(-id(target).log_p);
    if (!x.gradient) continue;
    out.d_p_gen[n] = static_cast<float>(x.weight * d_g);
    for (std::int64_t v = 0; v < V; ++v) {
      const double own = q(v) == 0 ? 0 : q(v) * id(v).r;
      in.logits[(n - x.first) * V + v] = static_cast<float>(x.weight * (id(v).generated * generated - own));
    }
    for (std::int64_t h = 0; h < x.pairs.heads; ++h)
      for (std::int64_t j = 0; j < x.pairs.k_count[b]; ++j) {
        const std::int32_t v = x.source.distinct[start + x.source.slot[start + j]];
        const double d = q(v) == 0 ? 0 : -q(v) * (1 - double(in.p_gen[n])) / id(v).p;
        out.d_weights[x.pairs.row(b, h, t) + j] =
            static_cast<float>(x.weight * d / static_cast<double>(x.pairs.heads));
      }
  }
}

inline void copy_log_probabilities(const CopyExtents& x, const CopyInputs& in, std::int64_t b,
                                   std::int64_t begin, std::int64_t end, float*) {
  for (std::int64_t t = begin; t < end; ++t) {
    const std::vector<CopyId> row = copy_row(x, in, b, t);
    float* logits = in.logits + (x.pairs.q_start[b] + t - x.first) * x.V;
    for (std::size_t v = 0; v < row.size(); ++v) logits[v] = static_cast<float>(row[v].log_p);
  }
}

}  // namespace fovea::kernels::reference
