#pragma once

#include <algorithm>
#include <cstdint>

#include "fovea/kernels/normalise.h"

namespace fovea::kernels {

/// Runs a row kernel on the visible keys of a row alone: in place where they are one range, else packed into
/// scratch memory and put back. `Real` is float, or double where a test differentiates numerically.

/// The visible among n values of a row, one after another; returns how many.
template <class Real>
std::int64_t gather_visible(const VisibleKeys& keys, const Real* row, Real* out) {
  std::int64_t n = 0;
  for (std::int64_t j = 0; j < keys.end; ++j)
    if (keys.sees(j)) out[n++] = row[j];
  return n;
}

template <class Real>
void scatter_visible(const VisibleKeys& keys, std::int64_t S, const Real* packed, Real* row) {
  std::int64_t n = 0;
  for (std::int64_t j = 0; j < S; ++j) row[j] = keys.sees(j) ? packed[n++] : Real(0);
}

/// kernel(n, scores, weights). scratch: S values.
template <class Real, class Kernel>
void normalise_visible(const VisibleKeys& keys, std::int64_t S, const Real* scores, Real* weights,
                       Real* scratch, const Kernel& kernel) {
  if (keys.one_range()) {
    kernel(keys.end - keys.begin, scores + keys.begin, weights + keys.begin);
    std::fill(weights, weights + std::min(keys.begin, S), Real(0));
    std::fill(weights + std::min(keys.end, S), weights + S, Real(0));
    return;
  }
  kernel(gather_visible(keys, scores, scratch), scratch, scratch);
  scatter_visible(keys, S, scratch, weights);
}

/// kernel(n, scores, weights, d_weights, d_scores). scratch: 4 S values.
template <class Real, class Kernel>
void normalise_visible_backward(const VisibleKeys& keys, std::int64_t S, const Real* scores,
                                const Real* weights, const Real* d_weights, Real* d_scores, Real* scratch,
                                const Kernel& kernel) {
  if (keys.one_range()) {
    const std::int64_t at = keys.begin;
    kernel(keys.end - at, scores + at, weights + at, d_weights + at, d_scores + at);
    std::fill(d_scores, d_scores + std::min(at, S), Real(0));
    std::fill(d_scores + std::min(keys.end, S), d_scores + S, Real(0));
    return;
  }
  const std::int64_t n = gather_visible(keys, scores, scratch);
  gather_visible(keys, weights, scratch + S);
  gather_visible(keys, d_weights, scratch + 2 * S);
  kernel(n, scratch, scratch + S, scratch + 2 * S, scratch + 3 * S);
  scatter_visible(keys, S, scratch + 3 * S, d_scores);
}

}  // namespace fovea::kernels
