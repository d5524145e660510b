#include "fovea/ops/rows.h"

#include <algorithm>
#include <functional>

namespace fovea::ops {

Tensor rows(const Context& ctx, const Tensor& x, std::int64_t begin, std::int64_t end) {
  if (x.shape().rank() < 1 || begin < 0 || begin > end || end > x.dim(0))
    throw Error(Error::Kind::bug, "rows",
                "[" + std::to_string(begin) + ", " + std::to_string(end) + ") of " + x.shape().text());
  Tensor y = x.rows(begin, end);
  if (!ctx.records({&x})) return y;

  require_grad(y);
  const std::int64_t offset = x.dim(0) > 0 ? begin * (x.elements() / x.dim(0)) : 0;
  ctx.tape->record([x, y, offset] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    const auto d_x = gradient_target(x);
    const std::int64_t count = d_y.elements();
    const float* from = d_y.f32();
    float* to = d_x.data + offset;
    if (d_x.accumulate) {
      std::transform(from, from + count, to, to, std::plus<>());
    } else {  // the rows around these have no share yet
      std::fill(d_x.data, to, 0.0f);
      std::copy_n(from, count, to);
      std::fill(to + count, d_x.data + x.elements(), 0.0f);
    }
  });
  return y;
}

Tensor stack(const Context& ctx, std::span<const Tensor> parts) {
  std::int64_t rows = 0;
  bool records = false;
  for (const Tensor& part : parts) {
    expect_shape(part, {-1, parts.front().dim(1)}, "stack: a part [R, D]");
    rows += part.dim(0);
    records = records || ctx.records({&part});
  }
  Tensor y = Tensor::empty({rows, parts.empty() ? 0 : parts.front().dim(1)});
  float* to = y.f32();
  for (const Tensor& part : parts) to = std::copy_n(part.f32(), part.elements(), to);
  if (!records) return y;

  require_grad(y);
  ctx.tape->record([parts = std::vector<Tensor>(parts.begin(), parts.end()), y] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    std::int64_t row = 0;
    for (const Tensor& part : parts) {
      give_gradient(part, d_y.rows(row, row + part.dim(0)));
      row += part.dim(0);
    }
  });
  return y;
}

}  // namespace fovea::ops
