#include "fovea/ops/pairs_bias.h"

#include <algorithm>

namespace fovea::ops {
namespace {

kernels::PairBias layout_of(const Tensor& bias, const Pairs& pairs) {
  kernels::PairBias layout;
  layout.elements = bias.elements();
  const int rank = bias.shape().rank();
  if (rank == 1 && bias.elements() == pairs.elements())
    layout.packed_heads = pairs.heads();
  else if (rank == 1 && bias.elements() * pairs.heads() == pairs.elements())
    layout.packed_heads = 1;
  if (layout.packed_heads > 0) return layout;
  if (rank == 1 && bias.elements() == 1) return layout;
  const std::int64_t B = rank == 4 ? bias.dim(0) : 1, H = rank >= 3 ? bias.dim(rank - 3) : 0;
  const std::int64_t T = rank >= 3 ? bias.dim(rank - 2) : 0, S = rank >= 3 ? bias.dim(rank - 1) : 0;
  const bool fits = (rank == 3 || rank == 4) && (B == 1 || B == pairs.sequences()) &&
                    (H == 1 || H == pairs.heads()) && (T == 1 || T >= pairs.longest_T()) &&
                    (S == 1 || S >= pairs.longest_S());
  if (!fits)
    throw Error(Error::Kind::bug, "add_bias",
                bias.shape().text() + " does not broadcast to B " + std::to_string(pairs.sequences()) + ", " +
                    pairs.text());
  layout.sequence = B > 1 ? H * T * S : 0;
  layout.head = H > 1 ? T * S : 0;
  layout.query = T > 1 ? S : 0;
  layout.key = S > 1 ? 1 : 0;
  return layout;
}

// Where sums over pairs are added.
float* sums_of(const Tensor& tensor) {
  const auto target = gradient_target(tensor);
  if (!target.accumulate) std::fill_n(target.data, tensor.elements(), 0.0f);
  return target.data;
}

void expect_distances(const Tensor& relative, std::int64_t zero, const Pairs& pairs,
                      kernels::RowAlignment alignment) {
  const bool matrix =
      relative.shape().rank() == 2 && (relative.dim(0) == 1 || relative.dim(0) == pairs.heads());
  if (!matrix)
    throw Error(Error::Kind::bug, "add_relative",
                relative.shape().text() + " is neither [H, distances] nor [1, distances] of " + pairs.text());
  for (std::int64_t b = 0; b < pairs.sequences(); ++b) {
    const std::int64_t T = pairs.T(b), S = pairs.S(b);
    if (T == 0 || S == 0) continue;
    const std::int64_t shift = alignment == kernels::RowAlignment::end ? S - T : 0;
    const std::int64_t least = shift - (S - 1), most = shift + T - 1;
    if (least + zero < 0 || most + zero >= relative.dim(1))
      throw Error(Error::Kind::bug, "add_relative",
                  "distances " + std::to_string(least) + " to " + std::to_string(most) + " of " +
                      pairs.text() + " are not within " + std::to_string(-zero) + " to " +
                      std::to_string(relative.dim(1) - 1 - zero));
  }
}

}  // namespace

Tensor add_bias(const Context& ctx, const Tensor& scores, const Tensor& bias, const PairsPtr& pairs) {
  pairs->expect(scores, "add_bias: scores");
  const kernels::PairBias layout = layout_of(bias, *pairs);
  Tensor out = Tensor::empty(scores.shape());
  kernels::add_pair_bias(ctx.exec, pairs->extents(), layout, scores.f32(), bias.f32(), out.f32());
  if (!ctx.records({&scores, &bias})) return out;

  require_grad(out);
  ctx.tape->record([exec = ctx.exec, scores, bias, pairs, layout, out] {
    const Tensor d_out = arrived_gradient(out);
    if (!d_out.defined()) return;
    if (bias.requires_grad())
      kernels::add_pair_bias_backward(exec, pairs->extents(), layout, d_out.f32(), sums_of(bias));
    give_gradient(scores, d_out);
  });
  return out;
}

Tensor add_relative(const Context& ctx, const Tensor& scores, const Tensor& relative, std::int64_t zero,
                    const PairsPtr& pairs, kernels::RowAlignment alignment) {
  pairs->expect(scores, "add_relative: scores");
  expect_distances(relative, zero, *pairs, alignment);
  const std::int64_t count = relative.dim(1);
  const kernels::RelativeBias layout{alignment, relative.dim(0) > 1 ? count : 0, zero, count};
  Tensor out = Tensor::empty(scores.shape());
  kernels::add_relative_bias(ctx.exec, pairs->extents(), layout, scores.f32(), relative.f32(), out.f32());
  if (!ctx.records({&scores, &relative})) return out;

  require_grad(out);
  ctx.tape->record([exec = ctx.exec, scores, relative, pairs, layout, out] {
    const Tensor d_out = arrived_gradient(out);
    if (!d_out.defined()) return;
    if (relative.requires_grad())
      kernels::add_relative_bias_backward(exec, pairs->extents(), layout, d_out.f32(), sums_of(relative));
    give_gradient(scores, d_out);
  });
  return out;
}

}  // namespace fovea::ops
