#include "fovea/ops/unit_heads.h"

#include <algorithm>

#include "fovea/kernels/unit_rows.h"

namespace fovea::ops {

Tensor unit_heads(const Context& ctx, const Tensor& x, std::int64_t heads, const Tensor& sharpness) {
  expect_shape(x, {-1, -1}, "unit_heads: x [N, H*E]");
  if (heads < 1 || x.dim(1) % heads != 0)
    throw Error(Error::Kind::bug, "unit_heads",
                std::to_string(heads) + " heads H do not divide x [N, H*E] " + x.shape().text());
  if (sharpness.defined()) expect_shape(sharpness, {heads}, "unit_heads: sharpness [H]");
  const kernels::UnitRowsExtents extents{x.dim(0), heads, x.dim(1) / heads};
  const bool records = ctx.records({&x, &sharpness});
  const float* factor = sharpness.defined() ? sharpness.f32() : nullptr;
  Tensor y = Tensor::empty(x.shape());
  Tensor lengths = records ? Tensor::empty({x.dim(0), heads}) : Tensor();
  kernels::unit_rows_forward(ctx.exec, extents, x.f32(), factor, y.f32(), records ? lengths.f32() : nullptr);
  if (!records) return y;

  require_grad(y);
  ctx.tape->record([exec = ctx.exec, extents, x, y, sharpness, factor, lengths] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    Tensor d_x = Tensor::empty(x.shape());
    Tensor d_sharpness = sharpness.requires_grad() ? Tensor::zeros(sharpness.shape()) : Tensor();
    kernels::unit_rows_backward(exec, extents, d_y.f32(), x.f32(), factor, lengths.f32(), d_x.f32(),
                                d_sharpness.defined() ? d_sharpness.f32() : nullptr);
    give_gradient(x, d_x);
    if (d_sharpness.defined()) give_gradient(sharpness, d_sharpness);
  });
  return y;
}

}  // namespace fovea::ops
