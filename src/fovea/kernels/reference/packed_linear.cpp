#include "fovea/kernels/reference/packed_linear.h"

#include <vector>

#include "fovea/base/bfloat16.h"
#include "fovea/kernels/quantise_row.h"
#include "fovea/kernels/reference/activation.h"
#include "fovea/kernels/reference/gemm.h"

namespace fovea::kernels::reference {
namespace {

// A row of x as the product sees it; returns its scale.
double rounded_row(DType dtype, const float* x, std::int64_t K, std::vector<double>& out) {
  if (dtype == DType::bf16) {
    for (std::int64_t k = 0; k < K; ++k)
      out[static_cast<std::size_t>(k)] = static_cast<float>(bfloat16(x[k]));
    return 1.0;
  }
  std::vector<std::int8_t> q(static_cast<std::size_t>(K));
  const double scale = quantise_row(x, K, q.data()).scale;
  out.assign(q.begin(), q.end());
  return scale;
}

}  // namespace

void linear(const LinearProduct& p, const float* W, const LinearOptions& options) {
  std::vector<double> x(static_cast<std::size_t>(p.K));
  for (std::int64_t m = 0; m < p.M; ++m) {
    const double row_scale = rounded_row(p.dtype, p.x + m * p.x_stride, p.K, x);
    for (std::int64_t n = 0; n < p.N; ++n) {
      float& out = p.y[m * p.y_stride + n];
      double c = 0.0;
      for (std::int64_t k = 0; k < p.K; ++k) c += x[static_cast<std::size_t>(k)] * W[n * p.K + k];
      c *= row_scale * (p.scales ? p.scales[n] : 1.0f);
      if (options.accumulate) c += out;
      if (options.bias) c += options.bias[n];
      c = activate(options.activation, c);
      if (options.residual) c += options.residual[m * p.y_stride + n];
      out = static_cast<float>(c);
    }
  }
}

}  // namespace fovea::kernels::reference
