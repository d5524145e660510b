#include "fovea/kernels/reference/normalise.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace fovea::kernels::reference {
namespace {

using Row = std::vector<double>;

template <class Real>
Row scaled(std::int64_t n, const Real* x, Real temperature) {
  Row z(x, x + n);
  for (double& value : z) value /= double{temperature};
  return z;
}

// The largest that is a number; -infinity if there is none.
double largest_of(const Row& z) {
  double largest = -INFINITY;
  for (const double value : z)
    if (value > largest) largest = value;
  return largest;
}

// What sees nothing: zeros, and the NaN that is seen.
Row nothing(const Row& z) {
  Row w(z.size());
  for (std::size_t j = 0; j < z.size(); ++j) w[j] = std::isnan(z[j]) ? z[j] : 0.0;
  return w;
}

Row softmax(const Row& z) {
  const double largest = largest_of(z);
  if (largest == -INFINITY) return nothing(z);
  double sum = 0.0;
  Row w(z.size());
  for (std::size_t j = 0; j < z.size(); ++j) sum += w[j] = std::exp(z[j] - largest);
  for (double& weight : w) weight /= sum;
  return w;
}

// Sorted from the largest, k is the last for which 1 + k z_k > z_1 + ... + z_k, and
// tau = (z_1 + ... + z_k - 1) / k: Martins and Astudillo 2016, algorithm 1.
Row sparsemax(const Row& z) {
  const double largest = largest_of(z);
  if (largest == -INFINITY) return nothing(z);
  Row sorted;
  for (const double value : z)
    if (!std::isnan(value)) sorted.push_back(value - largest);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double sum = 0.0, tau = 0.0;
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    sum += sorted[k];
    if (1.0 + double(k + 1) * sorted[k] > sum) tau = (sum - 1.0) / double(k + 1);
  }
  Row w(z.size());
  for (std::size_t j = 0; j < z.size(); ++j) {
    const double above = z[j] - largest - tau;
    w[j] = above < 0.0 ? 0.0 : above;  // NaN stays
  }
  return w;
}

Row hardmax(const Row& z) {
  const double largest = largest_of(z);
  if (largest == -INFINITY) return nothing(z);
  Row w(z.size(), 0.0);
  w[static_cast<std::size_t>(std::find(z.begin(), z.end(), largest) - z.begin())] = 1.0;
  return w;
}

}  // namespace

template <class Real>
void normalise_row(Normaliser normaliser, Real temperature, std::int64_t n, const Real* x, Real* w) {
  const Row z = scaled(n, x, temperature);
  const Row out = normaliser == Normaliser::softmax     ? softmax(z)
                  : normaliser == Normaliser::sparsemax ? sparsemax(z)
                                                        : hardmax(z);
  for (std::int64_t j = 0; j < n; ++j) w[j] = static_cast<Real>(out[static_cast<std::size_t>(j)]);
}

template <class Real>
void normalise_row_backward(Normaliser normaliser, Real temperature, std::int64_t n, const Real* w,
                            const Real* d_w, Real* d_x) {
  Row p(w, w + n);
  if (normaliser == Normaliser::sparsemax) {
    const double support =
        static_cast<double>(std::count_if(p.begin(), p.end(), [](double v) { return v > 0; }));
    for (double& value : p) value = value > 0 ? 1.0 / support : 0.0;
  }
  double mean = 0.0;
  for (std::int64_t j = 0; j < n; ++j)
    if (p[j] != 0.0) mean += p[j] * double{d_w[j]};
  for (std::int64_t j = 0; j < n; ++j) {
    const double slope = normaliser == Normaliser::sparsemax ? (p[j] > 0.0 ? 1.0 : 0.0) : p[j];
    d_x[j] = static_cast<Real>(slope == 0.0 ? 0.0 : slope * (double{d_w[j]} - mean) / double{temperature});
  }
}

template void normalise_row<float>(Normaliser, float, std::int64_t, const float*, float*);
template void normalise_row<double>(Normaliser, double, std::int64_t, const double*, double*);
template void normalise_row_backward<float>(Normaliser, float, std::int64_t, const float*, const float*,
                                            float*);
template void normalise_row_backward<double>(Normaliser, double, std::int64_t, const double*, const double*,
                                             double*);

}  // namespace fovea::kernels::reference
