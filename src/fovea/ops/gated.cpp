#include "fovea/ops/gated.h"

#include "fovea/kernels/gated.h"

namespace fovea::ops {

Tensor gated(const Context& ctx, const Tensor& x, kernels::Activation activation) {
  expect_shape(x, {-1, -1}, "gated: x [N, 2F]");
  if (x.dim(1) % 2 != 0)
    throw Error(Error::Kind::bug, "gated: x [N, 2F]", "has an odd number of columns, " + x.shape().text());
  const kernels::GatedExtents extents{x.dim(0), x.dim(1) / 2, activation};
  Tensor y = Tensor::empty({extents.N, extents.F});
  kernels::gated_forward(ctx.exec, extents, x.f32(), y.f32());
  if (!ctx.records({&x})) return y;
  require_grad(y);
  ctx.tape->record([exec = ctx.exec, extents, x, y] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    Tensor d_x = Tensor::empty(x.shape());
    kernels::gated_backward(exec, extents, x.f32(), d_y.f32(), d_x.f32());
    give_gradient(x, d_x);
  });
  return y;
}

}  // namespace fovea::ops
