#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "fovea/kernels/elementwise.h"

namespace fovea::kernels {

/// Arguments of the element-wise kernels; of double where tests want that.
template <class Real>
struct UnaryForward {
  Unary f;
  const Real* x;
  Real* y;
};
template <class Real>
struct UnaryBackward {
  Unary f;
  const Real *y, *d_y;
  Real* d_x;
};
template <class Real>
struct BinaryForward {
  BinaryExtents extents;
  Binary op;
  const Real *a, *b;
  Real* y;
};
template <class Real>
struct BinaryBackward {
  BinaryExtents extents;
  Binary op;
  const Real *d_y, *b;
};

namespace reference {

/// Elements begin .. end - 1.
template <class Real>
void unary_forward(const UnaryForward<Real>& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const double x = a.x[i];
    a.y[i] = static_cast<Real>(a.f == Unary::sigmoid ? 1.0 / (1.0 + std::exp(-x))
                                                     : std::sqrt(x < root_floor ? double{root_floor} : x));
  }
}

template <class Real>
void unary_backward(const UnaryBackward<Real>& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const double y = a.y[i], d = a.d_y[i];
    const bool at_floor = y * y <= double{root_floor} * (1 + 1e-6);
    a.d_x[i] = static_cast<Real>(a.f == Unary::sigmoid ? d * y * (1.0 - y) : at_floor ? 0.0 : d / (2.0 * y));
  }
}

inline std::int64_t offset(const BroadcastStrides& s, std::int64_t n, std::int64_t p, std::int64_t c) {
  return n * s.image + p * s.row + c * s.column;
}

/// Rows begin .. end - 1 of N * P.
template <class Real>
void binary_forward(const BinaryForward<Real>& x, std::int64_t begin, std::int64_t end) {
  const std::int64_t P = x.extents.P, C = x.extents.C;
  for (std::int64_t r = begin; r < end; ++r) {
    for (std::int64_t c = 0; c < C; ++c) {
      const Real a = x.a[offset(x.extents.a, r / P, r % P, c)];
      const Real b = x.b[offset(x.extents.b, r / P, r % P, c)];
      x.y[r * C + c] = x.op == Binary::add ? a + b : a * b;
    }
  }
}

/// Adds what rows begin .. end - 1 of N * P contribute to d_a.
template <class Real>
void binary_backward(const BinaryBackward<Real>& x, std::int64_t begin, std::int64_t end, Real* d_a) {
  const std::int64_t P = x.extents.P, C = x.extents.C;
  for (std::int64_t r = begin; r < end; ++r) {
    double sum = 0.0;
    for (std::int64_t c = 0; c < C; ++c) {
      const double factor = x.op == Binary::add ? 1.0 : double(x.b[offset(x.extents.b, r / P, r % P, c)]);
      const double d = factor * x.d_y[r * C + c];
      if (x.extents.a.column)
        d_a[offset(x.extents.a, r / P, r % P, c)] += static_cast<Real>(d);
      else
        sum += d;
    }
    if (!x.extents.a.column) d_a[offset(x.extents.a, r / P, r % P, 0)] += static_cast<Real>(sum);
  }
}

}  // namespace reference
}  // namespace fovea::kernels
