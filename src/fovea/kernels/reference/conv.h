#pragma once

#include <cstdint>
#include <vector>

#include "fovea/kernels/conv.h"

namespace fovea::kernels::reference {

/// Calls body(pixel of y, pixel of x, kernel position) for every product that a convolution has, in order of
/// y's pixels; pixels number [N,H,W], kernel positions [KH,KW].
template <class Body>
void over_taps(const ConvExtents& e, const Body& body) {
  const std::int64_t OH = e.out_height(), OW = e.out_width();
  for (std::int64_t n = 0; n < e.N; ++n)
    for (std::int64_t i = 0; i < OH; ++i)
      for (std::int64_t j = 0; j < OW; ++j)
        for (std::int64_t u = 0; u < e.KH; ++u)
          for (std::int64_t v = 0; v < e.KW; ++v) {
            const std::int64_t row = i * e.stride - e.padding + u * e.dilation;
            const std::int64_t column = j * e.stride - e.padding + v * e.dilation;
            if (row >= 0 && row < e.H && column >= 0 && column < e.W)
              body((n * OH + i) * OW + j, (n * e.H + row) * e.W + column, u * e.KW + v);
          }
}

/// The three convolutions, summed in double; d_x and d_W are added to.
template <class Real>
void conv_forward(const ConvExtents& e, const Real* x, const Real* W, const Real* bias, Real* y) {
  const std::int64_t outputs = e.N * e.out_height() * e.out_width();
  std::vector<double> sums(static_cast<std::size_t>(outputs * e.O));
  for (std::int64_t i = 0; i < outputs * e.O; ++i)
    sums[static_cast<std::size_t>(i)] = bias ? bias[i % e.O] : 0;
  over_taps(e, [&](std::int64_t out, std::int64_t in, std::int64_t tap) {
    for (std::int64_t o = 0; o < e.O; ++o)
      for (std::int64_t c = 0; c < e.C; ++c)
        sums[static_cast<std::size_t>(out * e.O + o)] +=
            double(W[o * e.patch() + tap * e.C + c]) * x[in * e.C + c];
  });
  for (std::int64_t i = 0; i < outputs * e.O; ++i)
    y[i] = static_cast<Real>(sums[static_cast<std::size_t>(i)]);
}

template <class Real>
void conv_backward_input(const ConvExtents& e, const Real* W, const Real* d_y, Real* d_x) {
  std::vector<double> sums(d_x, d_x + e.N * e.H * e.W * e.C);
  over_taps(e, [&](std::int64_t out, std::int64_t in, std::int64_t tap) {
    for (std::int64_t o = 0; o < e.O; ++o)
      for (std::int64_t c = 0; c < e.C; ++c)
        sums[static_cast<std::size_t>(in * e.C + c)] +=
            double(W[o * e.patch() + tap * e.C + c]) * d_y[out * e.O + o];
  });
  for (std::size_t i = 0; i < sums.size(); ++i) d_x[i] = static_cast<Real>(sums[i]);
}

template <class Real>
void conv_backward_weight(const ConvExtents& e, const Real* x, const Real* d_y, Real* d_W) {
  std::vector<double> sums(d_W, d_W + e.O * e.patch());
  over_taps(e, [&](std::int64_t out, std::int64_t in, std::int64_t tap) {
    for (std::int64_t o = 0; o < e.O; ++o)
      for (std::int64_t c = 0; c < e.C; ++c)
        sums[static_cast<std::size_t>(o * e.patch() + tap * e.C + c)] +=
            double(x[in * e.C + c]) * d_y[out * e.O + o];
  });
  for (std::size_t i = 0; i < sums.size(); ++i) d_W[i] = static_cast<Real>(sums[i]);
}

/// The same channel by channel, W [KH,KW,C].
template <class Real>
void depthwise_forward(const ConvExtents& e, const Real* x, const Real* W, const Real* bias, Real* y) {
  const std::int64_t outputs = e.N * e.out_height() * e.out_width();
  std::vector<double> sums(static_cast<std::size_t>(outputs * e.C));
  for (std::int64_t i = 0; i < outputs * e.C; ++i)
    sums[static_cast<std::size_t>(i)] = bias ? bias[i % e.C] : 0;
  over_taps(e, [&](std::int64_t out, std::int64_t in, std::int64_t tap) {
    for (std::int64_t c = 0; c < e.C; ++c)
      sums[static_cast<std::size_t>(out * e.C + c)] += double(W[tap * e.C + c]) * x[in * e.C + c];
  });
  for (std::int64_t i = 0; i < outputs * e.C; ++i)
    y[i] = static_cast<Real>(sums[static_cast<std::size_t>(i)]);
}

template <class Real>
void depthwise_backward_input(const ConvExtents& e, const Real* W, const Real* d_y, Real* d_x) {
  std::vector<double> sums(d_x, d_x + e.N * e.H * e.W * e.C);
  over_taps(e, [&](std::int64_t out, std::int64_t in, std::int64_t tap) {
    for (std::int64_t c = 0; c < e.C; ++c)
      sums[static_cast<std::size_t>(in * e.C + c)] += double(W[tap * e.C + c]) * d_y[out * e.C + c];
  });
  for (std::size_t i = 0; i < sums.size(); ++i) d_x[i] = static_cast<Real>(sums[i]);
}

template <class Real>
void depthwise_backward_weight(const ConvExtents& e, const Real* x, const Real* d_y, Real* d_W) {
  std::vector<double> sums(d_W, d_W + e.KH * e.KW * e.C);
  over_taps(e, [&](std::int64_t out, std::int64_t in, std::int64_t tap) {
    for (std::int64_t c = 0; c < e.C; ++c)
      sums[static_cast<std::size_t>(tap * e.C + c)] += double(x[in * e.C + c]) * d_y[out * e.C + c];
  });
  for (std::size_t i = 0; i < sums.size(); ++i) d_W[i] = static_cast<Real>(sums[i]);
}

}  // namespace fovea::kernels::reference
