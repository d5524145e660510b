#include "fovea/kernels/pairs_local.h"

#include <cmath>
#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/pairs_tasks.h"

#define FOVEA_BODY "fovea/kernels/cpu/pairs_local.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {
namespace reference {

double gaussian(double distance, double sigma) {
  return std::exp(-distance * distance / (2 * sigma * sigma));
}

void gaussian_row(std::int64_t S, const float*, float centre, float sigma, const float* w, float* out) {
  for (std::int64_t j = 0; j < S; ++j)
    out[j] = static_cast<float>(double{w[j]} * gaussian(static_cast<double>(j) - double{centre}, sigma));
}

float gaussian_row_backward(std::int64_t S, const float*, float centre, float sigma, const float* w,
                            const float* d_out, float* d_w) {
  double total = 0.0;
  for (std::int64_t j = 0; j < S; ++j) {
    const double distance = static_cast<double>(j) - double{centre},
                 d = double{d_out[j]} * gaussian(distance, sigma);
    if (w[j] != 0.0f) total += d * double{w[j]} * distance;
    d_w[j] = static_cast<float>(d);
  }
  return static_cast<float>(total / (double{sigma} * double{sigma}));
}

}  // namespace reference

namespace {

void validate(const PairExtents& x, const GaussianWindow& window) {
  if (window.sigma > 0.0f && (window.centre_heads == 1 || window.centre_heads == x.heads)) return;
  throw Error(Error::Kind::bug, "local attention",
              "sigma " + std::to_string(window.sigma) + " with centres of " +
                  std::to_string(window.centre_heads) + " heads for H = " + std::to_string(x.heads));
}

// body(keys, b, begin, end): stretches of a sequence's queries, all heads of a query in one.
template <class Body>
void for_each_query(const Execution& exec, const PairExtents& x, const Body& body) {
  for_each_stretch(exec, x, 1, x.q_count, 64, 8 * x.elements(),
                   [&](int worker, std::int64_t b, std::int64_t, std::int64_t begin, std::int64_t end) {
                     const std::int64_t S = x.k_count[b];
                     float* keys = exec.workspace->get(worker, 4, static_cast<std::size_t>(S));
                     for (std::int64_t j = 0; j < S; ++j) keys[j] = static_cast<float>(j);
                     for (std::int64_t t = begin; t < end; ++t)
                       for (std::int64_t h = 0; h < x.heads; ++h) body(keys, b, t, h);
                   });
}

std::int64_t centre_of(const PairExtents& x, const GaussianWindow& window, std::int64_t b, std::int64_t t,
                       std::int64_t h) {
  return (x.q_start[b] + t) * window.centre_heads + (window.centre_heads > 1 ? h : 0);
}

}  // namespace

void gaussian_forward(const Execution& exec, const PairExtents& x, const GaussianWindow& window,
                      const float* centre, const float* w, float* out) {
  validate(x, window);
  const auto row = choose(exec.kernels, &reference::gaussian_row, &cpu::plain::gaussian_row,
                          &cpu::avx2::gaussian_row, &cpu::avx512::gaussian_row);
  for_each_query(exec, x, [&](const float* keys, std::int64_t b, std::int64_t t, std::int64_t h) {
    const std::int64_t at = x.row(b, h, t);
    row(x.k_count[b], keys, centre[centre_of(x, window, b, t, h)], window.sigma, w + at, out + at);
  });
}

void gaussian_backward(const Execution& exec, const PairExtents& x, const GaussianWindow& window,
                       const float* centre, const float* w, const float* d_out, float* d_w, float* d_centre) {
  validate(x, window);
  const auto row = choose(exec.kernels, &reference::gaussian_row_backward, &cpu::plain::gaussian_row_backward,
                          &cpu::avx2::gaussian_row_backward, &cpu::avx512::gaussian_row_backward);
  for_each_query(exec, x, [&](const float* keys, std::int64_t b, std::int64_t t, std::int64_t h) {
    const std::int64_t at = x.row(b, h, t), c = centre_of(x, window, b, t, h);
    d_centre[c] += row(x.k_count[b], keys, centre[c], window.sigma, w + at, d_out + at, d_w + at);
  });
}

}  // namespace fovea::kernels
