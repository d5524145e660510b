#include "fovea/ops/normalise.h"

namespace fovea::ops {
namespace {

void expect(bool holds, const std::string& what) {
  if (!holds) throw Error(Error::Kind::bug, "normalise", what);
}

kernels::NormaliseExtents extents(const Pairs& pairs, const NormaliseOptions& options) {
  return {pairs.extents(), options.mask ? options.mask->of(pairs) : kernels::PairVisibility{},
          options.normaliser, options.temperature};
}

}  // namespace

kernels::PairVisibility VisiblePairs::of(const Pairs& pairs) const {
  kernels::PairVisibility visible;
  visible.alignment = alignment;
  visible.causal = causal;
  visible.left = left;
  visible.right = right;
  if (!prefix.empty()) {
    expect(static_cast<std::int64_t>(prefix.size()) == pairs.sequences(),
           "prefix has " + std::to_string(prefix.size()) +
               " lengths for B = " + std::to_string(pairs.sequences()));
    visible.prefix = prefix.data();
  }
  if (centre.defined()) {
    const std::int64_t heads = centre.shape().rank() == 2 ? centre.dim(1) : 1;
    expect(centre.shape().rank() >= 1 && centre.shape().rank() <= 2 &&
               (heads == 1 || heads == pairs.heads()) && centre.dim(0) >= pairs.query_rows() && reach >= 0,
           "centre " + centre.shape().text() + " is not [N_q] or [N_q, H] of " + pairs.text());
    visible.centre = centre.f32();
    visible.centre_heads = heads;
    visible.reach = reach;
  }
  if (!mask.empty()) {
    const std::int64_t size = static_cast<std::int64_t>(mask.size());
    expect(size == pairs.elements() || size * pairs.heads() == pairs.elements(),
           "a mask of " + std::to_string(size) + " is neither [H,T,S] nor [T,S] of " + pairs.text());
    visible.mask = mask.data();
    visible.mask_heads = size == pairs.elements() ? pairs.heads() : 1;
  }
  return visible;
}

Tensor normalise(const Context& ctx, const Tensor& scores, const PairsPtr& pairs,
                 const NormaliseOptions& options) {
  pairs->expect(scores, "normalise: scores");
  Tensor weights = Tensor::empty(scores.shape());
  kernels::normalise_forward(ctx.exec, extents(*pairs, options), scores.f32(), weights.f32());
  if (!ctx.records({&scores})) return weights;

  require_grad(weights);
  ctx.tape->record([exec = ctx.exec, scores, weights, pairs, options] {
    const Tensor d_weights = arrived_gradient(weights);
    if (!d_weights.defined()) return;
    Tensor d_scores = Tensor::empty(scores.shape());
    kernels::normalise_backward(exec, extents(*pairs, options), scores.f32(), weights.f32(), d_weights.f32(),
                                d_scores.f32());
    give_gradient(scores, d_scores);
  });
  return weights;
}

Tensor row_entropy(const Context& ctx, const Tensor& weights, const PairsPtr& pairs) {
  pairs->expect(weights, "row_entropy: weights");
  Tensor entropy = Tensor::zeros({pairs->query_rows(), pairs->heads()});
  kernels::row_entropy(ctx.exec, pairs->extents(), weights.f32(), entropy.f32());
  if (!ctx.records({&weights})) return entropy;

  require_grad(entropy);
  ctx.tape->record([exec = ctx.exec, weights, pairs, entropy] {
    const Tensor d_entropy = arrived_gradient(entropy);
    if (!d_entropy.defined()) return;
    Tensor d_weights = Tensor::empty(weights.shape());
    kernels::row_entropy_backward(exec, pairs->extents(), weights.f32(), d_entropy.f32(), d_weights.f32());
    give_gradient(weights, d_weights);
  });
  return entropy;
}

}  // namespace fovea::ops
