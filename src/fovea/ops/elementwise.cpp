#include "fovea/ops/elementwise.h"

#include <algorithm>
#include <string>

#include "fovea/kernels/elementwise.h"

namespace fovea::ops {
namespace {

using kernels::Binary;
using kernels::BinaryExtents;
using kernels::BroadcastStrides;
using kernels::Unary;

Tensor unary(const Context& ctx, const Tensor& x, Unary f) {
  Tensor y = Tensor::empty(x.shape());
  kernels::unary_forward(ctx.exec, x.elements(), f, x.f32(), y.f32());
  if (!ctx.records({&x})) return y;
  require_grad(y);
  ctx.tape->record([exec = ctx.exec, x, y, f] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    kernels::unary_backward(exec, y.elements(), f, y.f32(), d_y.f32(), d_y.f32());  // no one else's any more
    give_gradient(x, d_y);
  });
  return y;
}

/// Both shapes as [N, P, C].
struct Broadcast {
  BinaryExtents extents;
  Shape shape;  ///< of the result
};

[[noreturn]] void do_not_fit(const Tensor& a, const Tensor& b, const char* where) {
  throw Error(Error::Kind::bug, where,
              "shapes " + a.shape().text() + " and " + b.shape().text() +
                  " do not fit: each axis must agree or be 1 in one of them");
}

Broadcast broadcast(const Tensor& a, const Tensor& b, const char* where) {
  const int rank = a.shape().rank();
  if (rank != b.shape().rank() || rank > 3) do_not_fit(a, b, where);
  Broadcast out;
  std::int64_t extent[3] = {1, 1, 1}, stride_a[3] = {}, stride_b[3] = {};
  std::int64_t step_a = 1, step_b = 1;
  for (int axis = rank - 1, to = 2; axis >= 0; --axis, --to) {
    const std::int64_t in_a = a.dim(axis), in_b = b.dim(axis);
    if (in_a != in_b && in_a != 1 && in_b != 1) do_not_fit(a, b, where);
    extent[to] = in_a == 1 ? in_b : in_a;
    stride_a[to] = in_a == 1 ? 0 : step_a;
    stride_b[to] = in_b == 1 ? 0 : step_b;
    step_a *= in_a;
    step_b *= in_b;
  }
  for (int axis = 0; axis < rank; ++axis) out.shape.append(extent[3 - rank + axis]);
  out.extents = {extent[0],
                 extent[1],
                 extent[2],
                 {stride_a[0], stride_a[1], stride_a[2]},
                 {stride_b[0], stride_b[1], stride_b[2]}};
  return out;
}

void give_share(const kernels::Execution& exec, const BinaryExtents& extents, Binary op, const Tensor& d_y,
                const Tensor& to, const Tensor& other) {
  if (!to.requires_grad()) return;
  const auto target = gradient_target(to);
  if (!target.accumulate) std::fill_n(target.data, to.elements(), 0.0f);
  kernels::binary_backward(exec, extents, op, d_y.f32(), other.f32(), target.data);
}

Tensor binary(const Context& ctx, const Tensor& a, const Tensor& b, Binary op, const char* where) {
  const Broadcast made = broadcast(a, b, where);
  Tensor y = Tensor::empty(made.shape);
  kernels::binary_forward(ctx.exec, made.extents, op, a.f32(), b.f32(), y.f32());
  if (!ctx.records({&a, &b})) return y;
  require_grad(y);
  ctx.tape->record([exec = ctx.exec, extents = made.extents, a, b, y, op] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    BinaryExtents exchanged = extents;
    std::swap(exchanged.a, exchanged.b);
    give_share(exec, extents, op, d_y, a, b);
    give_share(exec, exchanged, op, d_y, b, a);
  });
  return y;
}

}  // namespace

Tensor sigmoid(const Context& ctx, const Tensor& x) { return unary(ctx, x, Unary::sigmoid); }

Tensor root(const Context& ctx, const Tensor& x) { return unary(ctx, x, Unary::root); }

Tensor activate(const Context& ctx, const Tensor& x, kernels::Activation activation) {
  Tensor y = Tensor::empty(x.shape());
  kernels::activation_forward(ctx.exec, x.elements(), activation, {}, x.f32(), y.f32());
  if (!ctx.records({&x})) return y;
  require_grad(y);
  ctx.tape->record([exec = ctx.exec, x, y, activation] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    kernels::activation_backward(exec, d_y.elements(), activation, {}, x.f32(), d_y.f32(), d_y.f32());
    give_gradient(x, d_y);
  });
  return y;
}

Tensor add(const Context& ctx, const Tensor& a, const Tensor& b) {
  return binary(ctx, a, b, Binary::add, "add");
}

Tensor multiply(const Context& ctx, const Tensor& a, const Tensor& b) {
  return binary(ctx, a, b, Binary::multiply, "multiply");
}

}  // namespace fovea::ops
