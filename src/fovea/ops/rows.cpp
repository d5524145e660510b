#include "fovea/ops/rows.h"

#include <algorithm>

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
    if (!d_x.accumulate) std::fill_n(d_x.data, x.elements(), 0.0f);
    for (std::int64_t i = 0; i < d_y.elements(); ++i) d_x.data[offset + i] += d_y.f32()[i];
  });
  return y;
}

}  // namespace fovea::ops
