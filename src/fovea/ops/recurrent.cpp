#include "fovea/ops/recurrent.h"

#include <algorithm>

#include "fovea/ops/dropout.h"

namespace fovea::ops {
namespace {

const float* values_or_null(const Tensor& tensor) { return tensor.defined() ? tensor.f32() : nullptr; }

// Where a kernel that adds may put its share of the gradient of a parameter; null if none is wanted.
float* sum_target(const Tensor& parameter) {
  if (!parameter.requires_grad()) return nullptr;
  const auto target = gradient_target(parameter);
  if (!target.accumulate) std::fill_n(target.data, parameter.elements(), 0.0f);
  return target.data;
}

// What backward needs of a layer's call.
struct Call {
  kernels::RecurrentExtents extents;
  std::shared_ptr<const Sequences> sequences;  // the extents point into it
  Tensor x_projection, W_h, b_h, mask, gates, inner;
  RecurrentState first;
  RecurrentOutput output;
};

void check(const kernels::RecurrentExtents& x, const Tensor& x_projection, const Tensor& W_h,
           const Tensor& b_h, const RecurrentState& first, const Sequences& sequences) {
  const std::int64_t width = x.directions() * x.H, projected = x.gates() * width;
  expect_shape(W_h, {projected, x.H}, "recurrent: W_h [D*G*H, H]");
  expect_shape(x_projection, {-1, projected}, "recurrent: x_projection [N, D*G*H]");
  if (b_h.defined()) expect_shape(b_h, {projected}, "recurrent: b_h [D*G*H]");
  if (first.h.defined()) expect_shape(first.h, {x.B, width}, "recurrent: first h [B, D*H]");
  if (first.c.defined()) expect_shape(first.c, {x.B, width}, "recurrent: first c [B, D*H]");
  expect_packed(sequences, x_projection.dim(0), "recurrent");
}

void run_backward(const kernels::Execution& exec, const Call& call) {
  const Tensor d_h = arrived_gradient(call.output.h_NC), d_last_h = arrived_gradient(call.output.last.h);
  const Tensor d_last_c = arrived_gradient(call.output.last.c);
  if (!d_h.defined() && !d_last_h.defined() && !d_last_c.defined()) return;
  const auto gradient_of = [](const Tensor& first) {
    return first.requires_grad() ? Tensor::empty(first.shape()) : Tensor();
  };
  const Tensor d_first_h = gradient_of(call.first.h), d_first_c = gradient_of(call.first.c);
  // Gates become the gradient of what they were made of.
  const Tensor d_x_projection = call.gates.detached();
  kernels::recurrent_backward(exec, {.extents = call.extents,
                                     .W_h = call.W_h.f32(),
                                     .h0 = values_or_null(call.first.h),
                                     .c0 = values_or_null(call.first.c),
                                     .mask = values_or_null(call.mask),
                                     .h = call.output.h_NC.f32(),
                                     .gates = call.gates.f32(),
                                     .inner = call.inner.f32(),
                                     .d_h = values_or_null(d_h),
                                     .d_last_h = values_or_null(d_last_h),
                                     .d_last_c = values_or_null(d_last_c),
                                     .d_x_projection = d_x_projection.f32(),
                                     .d_W_h = sum_target(call.W_h),
                                     .d_b_h = sum_target(call.b_h),
                                     .d_h0 = d_first_h.defined() ? d_first_h.f32() : nullptr,
                                     .d_c0 = d_first_c.defined() ? d_first_c.f32() : nullptr});
  give_gradient(call.x_projection, d_x_projection);
  give_gradient(call.first.h, d_first_h);
  give_gradient(call.first.c, d_first_c);
}

}  // namespace

RecurrentOutput recurrent_layer(const Context& ctx, const Tensor& x_projection, const Tensor& W_h,
                                const Tensor& b_h, const RecurrentState& first,
                                const std::shared_ptr<const Sequences>& sequences,
                                const RecurrentOptions& options) {
  expect_shape(W_h, {-1, -1}, "recurrent: W_h [D*G*H, H]");
  const bool lstm = options.cell == Recurrence::lstm;
  Call call;
  kernels::RecurrentExtents& x = call.extents;
  x = {options.cell,           options.order, 0, sequences->size(), W_h.dim(1), sequences->start.data(),
       sequences->count.data()};
  check(x, x_projection, W_h, b_h, first, *sequences);
  x.N = x_projection.dim(0);
  const std::int64_t width = x.directions() * x.H;
  const bool records = ctx.records({&x_projection, &W_h, &b_h, &first.h, &first.c});
  call.mask = sequence_mask(ctx, x.B, width, options.state_dropping);
  RecurrentOutput& output = call.output;
  output = {Tensor::empty({x.N, width}),
            {Tensor::empty({x.B, width}), lstm ? Tensor::empty({x.B, width}) : Tensor()}};
  if (records) {
    call.gates = options.projection_is_spent ? x_projection.detached() : Tensor::empty(x_projection.shape());
    call.inner = Tensor::empty({x.N, width});
  }
  kernels::recurrent_forward(ctx.exec, {.extents = x,
                                        .x_projection = x_projection.f32(),
                                        .W_h = W_h.f32(),
                                        .b_h = values_or_null(b_h),
                                        .h0 = values_or_null(first.h),
                                        .c0 = values_or_null(first.c),
                                        .mask = values_or_null(call.mask),
                                        .h = output.h_NC.f32(),
                                        .last_h = output.last.h.f32(),
                                        .last_c = lstm ? output.last.c.f32() : nullptr,
                                        .gates = records ? call.gates.f32() : nullptr,
                                        .inner = records ? call.inner.f32() : nullptr});
  if (!records) return output;
  require_grad(output.h_NC);
  require_grad(output.last.h);
  if (lstm) require_grad(output.last.c);
  call.sequences = sequences;
  call.x_projection = x_projection;
  call.W_h = W_h;
  call.b_h = b_h;
  call.first = first;
  ctx.tape->record([exec = ctx.exec, call] { run_backward(exec, call); });
  return output;
}

Tensor gru_cell(const Context& ctx, const Tensor& x_projection, const Tensor& h_projection, const Tensor& h) {
  expect_shape(h, {-1, -1}, "gru cell: h [R, H]");
  const std::int64_t R = h.dim(0), H = h.dim(1);
  expect_shape(x_projection, {R, 3 * H}, "gru cell: x_projection [R, 3H]");
  expect_shape(h_projection, {R, 3 * H}, "gru cell: h_projection [R, 3H]");
  const bool records = ctx.records({&x_projection, &h_projection, &h});
  Tensor next = Tensor::empty({R, H}), gates, u_n;
  if (records) {
    gates = Tensor::empty({R, 3 * H});
    u_n = Tensor::empty({R, H});
  }
  kernels::recurrent_cell_forward(ctx.exec, {.cell = Recurrence::gru,
                                             .R = R,
                                             .H = H,
                                             .x_projection = x_projection.f32(),
                                             .h_projection = h_projection.f32(),
                                             .h_previous = h.f32(),
                                             .h = next.f32(),
                                             .gates = records ? gates.f32() : nullptr,
                                             .u_n = records ? u_n.f32() : nullptr});
  if (!records) return next;
  require_grad(next);
  ctx.tape->record([exec = ctx.exec, x_projection, h_projection, h, next, gates, u_n] {
    const Tensor d_next = arrived_gradient(next);
    if (!d_next.defined()) return;
    const Tensor d_u = Tensor::empty(h_projection.shape());
    kernels::recurrent_cell_backward(exec, {.cell = Recurrence::gru,
                                            .R = h.dim(0),
                                            .H = h.dim(1),
                                            .gates = gates.f32(),
                                            .u_n = u_n.f32(),
                                            .h_previous = h.f32(),
                                            .d_h = d_next.f32(),
                                            .d_x_projection = gates.f32(),
                                            .d_h_projection = d_u.f32(),
                                            .d_h_previous = u_n.f32()});
    give_gradient(x_projection, gates);
    give_gradient(h_projection, d_u);
    give_gradient(h, u_n);
  });
  return next;
}

RecurrentState lstm_cell(const Context& ctx, const Tensor& x_projection, const Tensor& h_projection,
                         const Tensor& c) {
  expect_shape(c, {-1, -1}, "lstm cell: c [R, H]");
  const std::int64_t R = c.dim(0), H = c.dim(1);
  expect_shape(x_projection, {R, 4 * H}, "lstm cell: x_projection [R, 4H]");
  expect_shape(h_projection, {R, 4 * H}, "lstm cell: h_projection [R, 4H]");
  const bool records = ctx.records({&x_projection, &h_projection, &c});
  RecurrentState next{Tensor::empty({R, H}), Tensor::empty({R, H})};
  Tensor gates = records ? Tensor::empty({R, 4 * H}) : Tensor();
  kernels::recurrent_cell_forward(ctx.exec, {.cell = Recurrence::lstm,
                                             .R = R,
                                             .H = H,
                                             .x_projection = x_projection.f32(),
                                             .h_projection = h_projection.f32(),
                                             .c_previous = c.f32(),
                                             .h = next.h.f32(),
                                             .c = next.c.f32(),
                                             .gates = records ? gates.f32() : nullptr});
  if (!records) return next;
  require_grad(next.h);
  require_grad(next.c);
  ctx.tape->record([exec = ctx.exec, x_projection, h_projection, c, next, gates] {
    const Tensor d_h = arrived_gradient(next.h), d_c = arrived_gradient(next.c);
    if (!d_h.defined() && !d_c.defined()) return;
    const Tensor d_c_previous = Tensor::empty(c.shape());
    kernels::recurrent_cell_backward(exec, {.cell = Recurrence::lstm,
                                            .R = c.dim(0),
                                            .H = c.dim(1),
                                            .gates = gates.f32(),
                                            .c_previous = c.f32(),
                                            .c = next.c.f32(),
                                            .d_h = values_or_null(d_h),
                                            .d_c = values_or_null(d_c),
                                            .d_x_projection = gates.f32(),
                                            .d_c_previous = d_c_previous.f32()});
    // Each may be added to by others: they must not share memory.
    if (x_projection.requires_grad() && h_projection.requires_grad())
      give_gradient(h_projection, gates.clone());
    give_gradient(x_projection.requires_grad() ? x_projection : h_projection, gates);
    give_gradient(c, d_c_previous);
  });
  return next;
}

}  // namespace fovea::ops
