#include "fovea/kernels/normalise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/softmax_block.h"
#include "fovea/kernels/normalise_rows.h"
#include "fovea/kernels/pairs_tasks.h"
#include "fovea/kernels/reference/normalise.h"

#define FOVEA_BODY "fovea/kernels/cpu/normalise.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {
namespace {

void validate(const NormaliseExtents& x) {
  if (x.temperature > 0.0f) return;
  throw Error(Error::Kind::bug, "normalise",
              "temperature is " + std::to_string(x.temperature) + ", not above 0");
}

// body(scratch, visible keys, start of the row of pairs, S) for every row.
template <class Body>
void for_each_row(const Execution& exec, const NormaliseExtents& x, const Body& body) {
  for_each_stretch(exec, x.pairs, x.pairs.heads, x.pairs.q_count, 64, 8 * x.pairs.elements(),
                   [&](int worker, std::int64_t b, std::int64_t h, std::int64_t begin, std::int64_t end) {
                     const std::int64_t S = x.pairs.k_count[b];
                     float* scratch = exec.workspace->get(worker, 4, static_cast<std::size_t>(5 * S));
                     for (std::int64_t t = begin; t < end; ++t)
                       body(scratch, visible_keys(x.pairs, x.visible, b, h, t), x.pairs.row(b, h, t), S);
                   });
}

}  // namespace

void normalise_forward(const Execution& exec, const NormaliseExtents& x, const float* scores,
                       float* weights) {
  validate(x);
  const auto row = choose(exec.kernels, &reference::normalise_row<float>, &cpu::plain::normalise_row,
                          &cpu::avx2::normalise_row, &cpu::avx512::normalise_row);
  for_each_row(exec, x, [&](float* scratch, const VisibleKeys& keys, std::int64_t at, std::int64_t S) {
    normalise_visible(
        keys, S, scores + at, weights + at, scratch,
        [&](std::int64_t n, const float* s, float* w) { row(x.normaliser, x.temperature, n, s, w); });
  });
}

void normalise_backward(const Execution& exec, const NormaliseExtents& x, const float* scores,
                        const float* weights, const float* d_weights, float* d_scores) {
  validate(x);
  const auto forward = choose(exec.kernels, &reference::normalise_row<float>, &cpu::plain::normalise_row,
                              &cpu::avx2::normalise_row, &cpu::avx512::normalise_row);
  const auto row =
      choose(exec.kernels, &reference::normalise_row_backward<float>, &cpu::plain::normalise_row_backward,
             &cpu::avx2::normalise_row_backward, &cpu::avx512::normalise_row_backward);
  const bool through = x.normaliser == Normaliser::hardmax;  // straight through, as softmax
  for_each_row(exec, x, [&](float* scratch, const VisibleKeys& keys, std::int64_t at, std::int64_t S) {
    normalise_visible_backward(
        keys, S, scores + at, weights + at, d_weights + at, d_scores + at, scratch,
        [&](std::int64_t n, const float* s, const float* w, const float* d_w, float* d_s) {
          if (through) forward(Normaliser::softmax, x.temperature, n, s, scratch + 4 * S);
          row(through ? Normaliser::softmax : x.normaliser, x.temperature, n, through ? scratch + 4 * S : w,
              d_w, d_s);
        });
  });
}

void row_entropy(const Execution& exec, const PairExtents& x, const float* weights, float* entropy) {
  for_each_head(exec, x, [&](int, std::int64_t b, std::int64_t h) {
    for (std::int64_t t = 0; t < x.q_count[b]; ++t) {
      const float* row = weights + x.row(b, h, t);
      double sum = 0.0;
      for (std::int64_t j = 0; j < x.k_count[b]; ++j)
        if (row[j] != 0.0f) sum -= double{row[j]} * std::log(double{row[j]});
      entropy[(x.q_start[b] + t) * x.heads + h] = static_cast<float>(sum);
    }
  });
}

void row_entropy_backward(const Execution& exec, const PairExtents& x, const float* weights,
                          const float* d_entropy, float* d_weights) {
  for_each_head(exec, x, [&](int, std::int64_t b, std::int64_t h) {
    for (std::int64_t t = 0; t < x.q_count[b]; ++t) {
      const std::int64_t at = x.row(b, h, t);
      const double d = d_entropy[(x.q_start[b] + t) * x.heads + h];
      for (std::int64_t j = 0; j < x.k_count[b]; ++j) {
        const double w = weights[at + j];
        d_weights[at + j] = w != 0.0 ? static_cast<float>(-(1.0 + std::log(w)) * d) : 0.0f;
      }
    }
  });
}

}  // namespace fovea::kernels
