#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "fovea/kernels/recurrent.h"

namespace fovea::kernels {

/// One row of a step, H wide: what a cell makes of its projections. h_previous and c_previous are never null
/// here.
template <class Real>
struct CellRow {
  std::int64_t H;
  const Real *x, *u, *h_previous, *c_previous;
  Real *h, *c, *gates, *u_n;  // gates and u_n may be null
};
/// The gradients of one row, given that of h. `d_carried` is what h_{t-1} gets beside W_h (gru only; may be
/// d_h); d_c, of c, is replaced by that of c_{t-1} (lstm only). The lstm's d_u is d_x, and is not written.
template <class Real>
struct CellRowGradient {
  std::int64_t H;
  const Real *gates, *u_n, *h_previous, *c_previous, *c, *d_h;
  Real *d_carried, *d_c, *d_x, *d_u;
};

namespace reference {

template <class Real>
Real logistic(Real x) {
  return static_cast<Real>(1.0 / (1.0 + std::exp(-static_cast<double>(x))));
}

template <class Real>
void gru_row(const CellRow<Real>& a) {
  const std::int64_t H = a.H;
  for (std::int64_t j = 0; j < H; ++j) {
    const Real r = logistic(a.x[j] + a.u[j]), z = logistic(a.x[H + j] + a.u[H + j]), u_n = a.u[2 * H + j];
    const Real n = std::tanh(a.x[2 * H + j] + r * u_n);
    a.h[j] = n + z * (a.h_previous[j] - n);
    if (!a.gates) continue;
    a.gates[j] = r;
    a.gates[H + j] = z;
    a.gates[2 * H + j] = n;
    a.u_n[j] = u_n;
  }
}

template <class Real>
void lstm_row(const CellRow<Real>& a) {
  const std::int64_t H = a.H;
  for (std::int64_t j = 0; j < H; ++j) {
    const auto sum = [&](std::int64_t gate) { return a.x[gate * H + j] + a.u[gate * H + j]; };
    const Real i = logistic(sum(0)), f = logistic(sum(1)), g = std::tanh(sum(2)), o = logistic(sum(3));
    a.c[j] = f * a.c_previous[j] + i * g;
    a.h[j] = o * std::tanh(a.c[j]);
    if (!a.gates) continue;
    const Real gates[4] = {i, f, g, o};
    for (std::int64_t gate = 0; gate < 4; ++gate) a.gates[gate * H + j] = gates[gate];
  }
}

template <class Real>
void gru_row_backward(const CellRowGradient<Real>& a) {
  const std::int64_t H = a.H;
  for (std::int64_t j = 0; j < H; ++j) {
    const Real r = a.gates[j], z = a.gates[H + j], n = a.gates[2 * H + j], d_h = a.d_h[j], u_n = a.u_n[j];
    const Real d_n = d_h * (1 - z) * (1 - n * n), d_r = d_n * u_n * r * (1 - r);
    const Real d_z = d_h * (a.h_previous[j] - n) * z * (1 - z);
    a.d_x[j] = a.d_u[j] = d_r;
    a.d_x[H + j] = a.d_u[H + j] = d_z;
    a.d_x[2 * H + j] = d_n;
    a.d_u[2 * H + j] = d_n * r;
    a.d_carried[j] = d_h * z;
  }
}

template <class Real>
void lstm_row_backward(const CellRowGradient<Real>& a) {
  const std::int64_t H = a.H;
  for (std::int64_t j = 0; j < H; ++j) {
    const Real i = a.gates[j], f = a.gates[H + j], g = a.gates[2 * H + j], o = a.gates[3 * H + j];
    const Real tanh_c = std::tanh(a.c[j]), d_c = a.d_c[j] + a.d_h[j] * o * (1 - tanh_c * tanh_c);
    const Real d[4] = {d_c * g * i * (1 - i), d_c * a.c_previous[j] * f * (1 - f), d_c * i * (1 - g * g),
                       a.d_h[j] * tanh_c * o * (1 - o)};
    for (std::int64_t gate = 0; gate < 4; ++gate) a.d_x[gate * H + j] = d[gate];
    a.d_c[j] = d_c * f;
  }
}

/// Row of step t of sequence b in direction d.
inline std::int64_t row_of_step(const RecurrentExtents& x, std::int64_t d, std::int64_t b, std::int64_t t) {
  const bool backward = x.order == TimeOrder::backward || d == 1;
  return x.start[b] + (backward ? x.count[b] - 1 - t : t);
}

/// y[m] += W[m,k] x[k], or with W transposed, summed in double.
template <class Real>
void add_product(std::int64_t M, std::int64_t K, const Real* W, std::int64_t row, std::int64_t column,
                 const Real* x, Real* y) {
  for (std::int64_t m = 0; m < M; ++m) {
    double sum = 0;
    for (std::int64_t k = 0; k < K; ++k) sum += double(W[m * row + k * column]) * double(x[k]);
    y[m] += static_cast<Real>(sum);
  }
}

/// As recurrent_forward, sequence after sequence.
template <class Real>
void recurrent_forward(const BasicRecurrentForward<Real>& a) {
  const RecurrentExtents& x = a.extents;
  const std::int64_t H = x.H, D = x.directions(), G = x.gates();
  std::vector<Real> h(H), c(H), fed(H), u(G * H);
  for (std::int64_t d = 0; d < D; ++d)
    for (std::int64_t b = 0; b < x.B; ++b) {
      const std::int64_t own = (b * D + d) * H;
      for (std::int64_t j = 0; j < H; ++j) {
        h[j] = a.h0 ? a.h0[own + j] : 0;
        c[j] = a.c0 ? a.c0[own + j] : 0;
      }
      for (std::int64_t t = 0; t < x.count[b]; ++t) {
        const std::int64_t at = row_of_step(x, d, b, t) * D + d;
        for (std::int64_t j = 0; j < H; ++j) fed[j] = a.mask ? h[j] * a.mask[own + j] : h[j];
        for (std::int64_t k = 0; k < G * H; ++k) u[k] = a.b_h ? a.b_h[d * G * H + k] : 0;
        add_product(G * H, H, a.W_h + d * G * H * H, H, 1, fed.data(), u.data());
        CellRow<Real> row{H,
                          a.x_projection + at * G * H,
                          u.data(),
                          h.data(),
                          c.data(),
                          a.h + at * H,
                          c.data(),
                          a.gates ? a.gates + at * G * H : nullptr,
                          a.inner ? a.inner + at * H : nullptr};
        x.cell == Recurrence::gru ? gru_row(row) : lstm_row(row);
        if (a.inner && x.cell == Recurrence::lstm) std::copy(c.begin(), c.end(), a.inner + at * H);
        std::copy_n(a.h + at * H, H, h.begin());
      }
      if (a.last_h) std::copy(h.begin(), h.end(), a.last_h + own);
      if (a.last_c) std::copy(c.begin(), c.end(), a.last_c + own);
    }
}

/// As recurrent_backward, sequence after sequence.
template <class Real>
void recurrent_backward(const BasicRecurrentBackward<Real>& a) {
  const RecurrentExtents& x = a.extents;
  const std::int64_t H = x.H, D = x.directions(), G = x.gates();
  const bool gru = x.cell == Recurrence::gru;
  const std::vector<Real> zeros(H);
  std::vector<Real> d_h(H), d_c(H), d_u(G * H), through(H);
  for (std::int64_t d = 0; d < D; ++d)
    for (std::int64_t b = 0; b < x.B; ++b) {
      const std::int64_t own = (b * D + d) * H;
      const Real* W = a.W_h + d * G * H * H;
      for (std::int64_t j = 0; j < H; ++j) {
        d_h[j] = a.d_last_h ? a.d_last_h[own + j] : 0;
        d_c[j] = a.d_last_c ? a.d_last_c[own + j] : 0;
      }
      for (std::int64_t t = x.count[b] - 1; t >= 0; --t) {
        const std::int64_t at = row_of_step(x, d, b, t) * D + d;
        const std::int64_t before = t > 0 ? row_of_step(x, d, b, t - 1) * D + d : 0;
        const Real* h_previous = t > 0 ? a.h + before * H : a.h0 ? a.h0 + own : zeros.data();
        const Real* c_previous = t > 0 ? a.inner + before * H : a.c0 ? a.c0 + own : zeros.data();
        if (a.d_h)
          for (std::int64_t j = 0; j < H; ++j) d_h[j] += a.d_h[at * H + j];
        Real *d_x = a.d_x_projection + at * G * H, *inner = a.inner + at * H;
        const CellRowGradient<Real> row{H,         a.gates + at * G * H, inner,      h_previous, c_previous,
                                        inner,     d_h.data(),           d_h.data(), d_c.data(), d_x,
                                        d_u.data()};
        gru ? gru_row_backward(row) : lstm_row_backward(row);
        if (!gru) std::copy_n(d_x, G * H, d_u.begin());
        if (!gru) std::fill(d_h.begin(), d_h.end(), Real(0));
        std::fill(through.begin(), through.end(), Real(0));
        add_product(H, G * H, W, 1, H, d_u.data(), through.data());
        for (std::int64_t j = 0; j < H; ++j) d_h[j] += a.mask ? through[j] * a.mask[own + j] : through[j];
        for (std::int64_t k = 0; k < G * H; ++k) {
          if (a.d_b_h) a.d_b_h[d * G * H + k] += d_u[k];
          for (std::int64_t j = 0; a.d_W_h && j < H; ++j)
            a.d_W_h[(d * G * H + k) * H + j] += d_u[k] * h_previous[j] * (a.mask ? a.mask[own + j] : 1);
        }
      }
      if (a.d_h0) std::copy(d_h.begin(), d_h.end(), a.d_h0 + own);
      if (a.d_c0) std::copy(d_c.begin(), d_c.end(), a.d_c0 + own);
    }
}

}  // namespace reference
}  // namespace fovea::kernels
