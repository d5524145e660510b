#include "fovea/kernels/pairs_coverage.h"

#include <algorithm>

#include "fovea/kernels/pairs_tasks.h"

namespace fovea::kernels {
namespace {

// out[first] = 0, and each further row in the order of `step` is the one before plus its input: sums of what
// lies before (or behind) a row.
void running_sums(const PairExtents& x, std::int64_t b, std::int64_t h, bool forwards, const float* in,
                  float* out) {
  const std::int64_t T = x.q_count[b], S = x.k_count[b];
  for (std::int64_t n = 0; n < T; ++n) {
    const std::int64_t t = forwards ? n : T - 1 - n, before = forwards ? t - 1 : t + 1;
    float* row = out + x.row(b, h, t);
    if (n == 0) {
      std::fill(row, row + S, 0.0f);
      continue;
    }
    const float *sums = out + x.row(b, h, before), *added = in + x.row(b, h, before);
    for (std::int64_t j = 0; j < S; ++j) row[j] = sums[j] + added[j];
  }
}

}  // namespace

void coverage_forward(const Execution& exec, const PairExtents& x, const float* w, float* coverage) {
  for_each_head(exec, x,
                [&](int, std::int64_t b, std::int64_t h) { running_sums(x, b, h, true, w, coverage); });
}

void coverage_backward(const Execution& exec, const PairExtents& x, const float* d_coverage, float* d_w) {
  for_each_head(exec, x,
                [&](int, std::int64_t b, std::int64_t h) { running_sums(x, b, h, false, d_coverage, d_w); });
}

void coverage_loss_forward(const Execution& exec, const PairExtents& x, const float* w, const float* coverage,
                           float* loss) {
  for_each_head(exec, x, [&](int, std::int64_t b, std::int64_t h) {
    for (std::int64_t t = 0; t < x.q_count[b]; ++t) {
      const std::int64_t at = x.row(b, h, t);
      double sum = 0.0;
      for (std::int64_t j = 0; j < x.k_count[b]; ++j) sum += double{std::min(w[at + j], coverage[at + j])};
      loss[(x.q_start[b] + t) * x.heads + h] = static_cast<float>(sum);
    }
  });
}

void coverage_loss_backward(const Execution& exec, const PairExtents& x, const float* w,
                            const float* coverage, const float* d_loss, float* d_w, float* d_coverage) {
  for_each_head(exec, x, [&](int, std::int64_t b, std::int64_t h) {
    for (std::int64_t t = 0; t < x.q_count[b]; ++t) {
      const std::int64_t at = x.row(b, h, t);
      const float d = d_loss[(x.q_start[b] + t) * x.heads + h];
      for (std::int64_t j = 0; j < x.k_count[b]; ++j) {
        const bool to_w = w[at + j] <= coverage[at + j];
        d_w[at + j] = to_w ? d : 0.0f;
        d_coverage[at + j] = to_w ? 0.0f : d;
      }
    }
  });
}

}  // namespace fovea::kernels
