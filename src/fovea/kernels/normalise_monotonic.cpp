#include "fovea/kernels/normalise_monotonic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/functions.h"
#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/pairs_tasks.h"
#include "fovea/kernels/reference/normalise_monotonic.h"

#define FOVEA_BODY "fovea/kernels/cpu/normalise_monotonic.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {
namespace reference {

void sigmoid_row(std::int64_t n, const float* x, float* p) {
  for (std::int64_t i = 0; i < n; ++i) p[i] = static_cast<float>(1.0 / (1.0 + std::exp(-double{x[i]})));
}

void sigmoid_row_backward(std::int64_t n, const float* p, const float* d_p, float* d_x) {
  for (std::int64_t i = 0; i < n; ++i)
    d_x[i] = static_cast<float>(double{d_p[i]} * double{p[i]} * (1.0 - double{p[i]}));
}

}  // namespace reference

namespace {

// Adds noise of n pairs from number `first` on. A block of four words gives four normals by Box and Muller:
// the cosine and sine of words 0 and 1, and of 2 and 3.
void add_noise(const RandomKey& key, float deviation, std::uint64_t first, std::int64_t n, float* x) {
  constexpr float unit = 0x1p-32f, turn = 6.28318531f;
  for (std::int64_t i = 0; i < n;) {
    const std::uint64_t element = first + static_cast<std::uint64_t>(i);
    const auto words = philox(key, element / 4);
    float normals[4];
    for (int half = 0; half < 2; ++half) {
      const float u = (static_cast<float>(words[2 * half]) + 1.0f) * unit;
      const float angle = turn * (static_cast<float>(words[2 * half + 1]) * unit);
      const float radius = deviation * std::sqrt(std::max(0.0f, -2.0f * std::log(u)));
      normals[2 * half] = radius * std::cos(angle);
      normals[2 * half + 1] = radius * std::sin(angle);
    }
    for (std::uint64_t r = element % 4; r < 4 && i < n; ++r, ++i) x[i] += normals[r];
  }
}

// The rows of one head in order, and what precedes the first.
struct Head {
  const MonotonicExtents& x;
  std::int64_t b, h;

  std::int64_t T() const { return x.pairs.q_count[b]; }
  std::int64_t S() const { return x.pairs.k_count[b]; }
  std::int64_t at(std::int64_t t) const { return x.pairs.row(b, h, t); }
  std::int64_t state() const { return x.previous_offset[b] + h * S(); }
  // alpha of row t - 1; start: scratch [S].
  const float* before(std::int64_t t, const float* alpha, float* start) const {
    if (t > 0) return alpha + at(t - 1);
    if (x.previous) return x.previous + state();
    std::fill(start, start + S(), 0.0f);
    if (S() > 0) start[0] = 1.0f;
    return start;
  }
};

void validate_width(std::int64_t width) {
  if (width >= 1) return;
  throw Error(Error::Kind::bug, "chunkwise attention", "chunks of " + std::to_string(width) + " keys");
}

}  // namespace

void monotonic_probabilities(const Execution& exec, const MonotonicExtents& x, const float* scores,
                             float* p) {
  const auto sigmoid = choose(exec.kernels, &reference::sigmoid_row, &cpu::plain::sigmoid_row,
                              &cpu::avx2::sigmoid_row, &cpu::avx512::sigmoid_row);
  const PairExtents& pairs = x.pairs;
  for_each_stretch(exec, pairs, pairs.heads, pairs.q_count, 64, 8 * pairs.elements(),
                   [&](int, std::int64_t b, std::int64_t h, std::int64_t begin, std::int64_t end) {
                     const std::int64_t S = pairs.k_count[b];
                     for (std::int64_t t = begin; t < end; ++t) {
                       const VisibleKeys keys = visible_keys(pairs, x.visible, b, h, t);
                       const float* from = scores + pairs.row(b, h, t);
                       float* row = p + pairs.row(b, h, t);
                       for (std::int64_t j = 0; j < S; ++j) row[j] = keys.sees(j) ? from[j] : -INFINITY;
                       if (x.mode == MonotonicMode::hard) {
                         for (std::int64_t j = 0; j < S; ++j) row[j] = row[j] > 0.0f ? 1.0f : 0.0f;
                         continue;
                       }
                       if (x.noise != 0.0f)
                         add_noise(x.key, x.noise,
                                   first_random_pair(pairs, b, h) + static_cast<std::uint64_t>(t * S), S,
                                   row);
                       sigmoid(S, row, row);
                     }
                   });
}

void monotonic_forward(const Execution& exec, const MonotonicExtents& x, const float* p, float* alpha) {
  for_each_head(exec, x.pairs, [&](int worker, std::int64_t b, std::int64_t h) {
    const Head head{x, b, h};
    const std::int64_t S = head.S();
    float* scratch = exec.workspace->get(worker, 4, static_cast<std::size_t>(2 * S));
    for (std::int64_t t = 0; t < head.T(); ++t) {
      const float* before = head.before(t, alpha, scratch);
      if (x.mode == MonotonicMode::parallel)
        reference::monotonic_parallel_row(S, p + head.at(t), before, scratch + S, alpha + head.at(t));
      else
        reference::monotonic_row(S, p + head.at(t), before, alpha + head.at(t));
    }
  });
}

void monotonic_backward(const Execution& exec, const MonotonicExtents& x, const float* p, const float* alpha,
                        const float* d_alpha, float* d_scores, float* d_previous) {
  const auto sigmoid_backward =
      choose(exec.kernels, &reference::sigmoid_row_backward, &cpu::plain::sigmoid_row_backward,
             &cpu::avx2::sigmoid_row_backward, &cpu::avx512::sigmoid_row_backward);
  for_each_head(exec, x.pairs, [&](int worker, std::int64_t b, std::int64_t h) {
    const Head head{x, b, h};
    const std::int64_t S = head.S();
    float* start = exec.workspace->get(worker, 4, static_cast<std::size_t>(4 * S));
    float *d_row = start + S, *scratch = start + 2 * S;
    std::fill(d_row, d_row + S, 0.0f);  // what later rows say about this one
    for (std::int64_t t = head.T() - 1; t >= 0; --t) {
      const std::int64_t at = head.at(t);
      const float* before = head.before(t, alpha, start);
      // Where p is 0 alpha is, whatever q is: what was said of a hidden pair, NaN maybe, has no effect.
      for (std::int64_t j = 0; j < S; ++j) d_row[j] = p[at + j] != 0.0f ? d_row[j] + d_alpha[at + j] : 0.0f;
      if (x.mode == MonotonicMode::parallel)
        reference::monotonic_parallel_row_backward(S, p + at, before, d_row, scratch, d_scores + at, d_row);
      else
        reference::monotonic_row_backward(S, p + at, before, d_row, scratch, d_scores + at, d_row);
      sigmoid_backward(S, p + at, d_scores + at, d_scores + at);
    }
    if (d_previous) std::copy_n(d_row, S, d_previous + head.state());
  });
}

void chunkwise_forward(const Execution& exec, const PairExtents& x, const PairVisibility& visible,
                       std::int64_t width, const float* alpha, const float* u, float* beta) {
  validate_width(width);
  for_each_stretch(exec, x, x.heads, x.q_count, 16, 16 * x.elements(),
                   [&](int, std::int64_t b, std::int64_t h, std::int64_t begin, std::int64_t end) {
                     for (std::int64_t t = begin; t < end; ++t) {
                       const std::int64_t at = x.row(b, h, t);
                       reference::chunkwise_row(visible_keys(x, visible, b, h, t), x.k_count[b], width,
                                                alpha + at, u + at, beta + at);
                     }
                   });
}

void chunkwise_backward(const Execution& exec, const PairExtents& x, const PairVisibility& visible,
                        std::int64_t width, const float* alpha, const float* u, const float* d_beta,
                        float* d_alpha, float* d_u) {
  validate_width(width);
  for_each_stretch(exec, x, x.heads, x.q_count, 16, 16 * x.elements(),
                   [&](int, std::int64_t b, std::int64_t h, std::int64_t begin, std::int64_t end) {
                     for (std::int64_t t = begin; t < end; ++t) {
                       const std::int64_t at = x.row(b, h, t);
                       reference::chunkwise_row_backward(visible_keys(x, visible, b, h, t), x.k_count[b],
                                                         width, alpha + at, u + at, d_beta + at, d_alpha + at,
                                                         d_u + at);
                     }
                   });
}

}  // namespace fovea::kernels
