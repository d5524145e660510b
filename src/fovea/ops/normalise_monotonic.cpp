#include "fovea/ops/normalise_monotonic.h"

namespace fovea::ops {
namespace {

kernels::PairVisibility visibility(const Pairs& pairs, const std::shared_ptr<const VisiblePairs>& mask) {
  return mask ? mask->of(pairs) : kernels::PairVisibility{};
}

// Where each sequence's [H, S_b] begins, and where the last ends.
std::shared_ptr<const std::vector<std::int64_t>> state_offsets(const Pairs& pairs) {
  auto offsets = std::make_shared<std::vector<std::int64_t>>(1, 0);
  for (std::int64_t b = 0; b < pairs.sequences(); ++b)
    offsets->push_back(offsets->back() + pairs.heads() * pairs.S(b));
  return offsets;
}

}  // namespace

Tensor monotonic(const Context& ctx, const Tensor& scores, const PairsPtr& pairs,
                 const MonotonicOptions& options, const Tensor& previous) {
  pairs->expect(scores, "monotonic: scores");
  const auto offsets = state_offsets(*pairs);
  if (previous.defined() && previous.elements() < offsets->back())
    throw Error(Error::Kind::bug, "monotonic: previous",
                previous.shape().text() + " is not the " + std::to_string(offsets->back()) +
                    " values [H, S] of " + pairs->text());
  if (!(options.noise >= 0.0f)) throw Error(Error::Kind::bug, "monotonic", "noise is below 0");
  kernels::MonotonicExtents x{pairs->extents(), visibility(*pairs, options.mask), options.mode};
  x.noise = ctx.training ? options.noise : 0.0f;
  x.key = RandomKey::of(ctx.seed, ctx.update, options.site);
  x.previous = previous.defined() ? previous.f32() : nullptr;
  x.previous_offset = offsets->data();

  Tensor p = Tensor::empty(scores.shape()), alpha = Tensor::empty(scores.shape());
  kernels::monotonic_probabilities(ctx.exec, x, scores.f32(), p.f32());
  kernels::monotonic_forward(ctx.exec, x, p.f32(), alpha.f32());
  const bool differentiable = options.mode != MonotonicMode::hard;
  const Tensor none;
  if (!differentiable || !ctx.records({&scores, previous.defined() ? &previous : &none})) return alpha;

  require_grad(alpha);
  ctx.tape->record([exec = ctx.exec, x, scores, previous, p, alpha, pairs, offsets, mask = options.mask] {
    const Tensor d_alpha = arrived_gradient(alpha);
    if (!d_alpha.defined()) return;
    Tensor d_scores = Tensor::empty(scores.shape());
    Tensor d_previous = previous.requires_grad() ? Tensor::zeros(previous.shape()) : Tensor();
    kernels::monotonic_backward(exec, x, p.f32(), alpha.f32(), d_alpha.f32(), d_scores.f32(),
                                d_previous.defined() ? d_previous.f32() : nullptr);
    give_gradient(scores, d_scores);
    if (d_previous.defined()) give_gradient(previous, d_previous);
  });
  return alpha;
}

Tensor chunkwise(const Context& ctx, const Tensor& alpha, const Tensor& energies, const PairsPtr& pairs,
                 std::int64_t width, const std::shared_ptr<const VisiblePairs>& mask) {
  pairs->expect(alpha, "chunkwise: alpha");
  pairs->expect(energies, "chunkwise: energies");
  Tensor beta = Tensor::empty(alpha.shape());
  kernels::chunkwise_forward(ctx.exec, pairs->extents(), visibility(*pairs, mask), width, alpha.f32(),
                             energies.f32(), beta.f32());
  if (!ctx.records({&alpha, &energies})) return beta;

  require_grad(beta);
  ctx.tape->record([exec = ctx.exec, alpha, energies, pairs, width, mask, beta] {
    const Tensor d_beta = arrived_gradient(beta);
    if (!d_beta.defined()) return;
    Tensor d_alpha = Tensor::empty(alpha.shape()), d_energies = Tensor::empty(alpha.shape());
    kernels::chunkwise_backward(exec, pairs->extents(), visibility(*pairs, mask), width, alpha.f32(),
                                energies.f32(), d_beta.f32(), d_alpha.f32(), d_energies.f32());
    give_gradient(alpha, d_alpha);
    give_gradient(energies, d_energies);
  });
  return beta;
}

}  // namespace fovea::ops
