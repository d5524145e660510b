#include "fovea/ops/pairs_local.h"

#include <algorithm>
#include <cmath>

namespace fovea::ops {
namespace {

// Numbers a query: 1 or H. Throws if x is neither [N_q] nor [N_q, H].
std::int64_t heads_of(const Tensor& x, const Pairs& pairs, const char* where) {
  const int rank = x.shape().rank();
  const std::int64_t heads = rank == 2 ? x.dim(1) : 1;
  if ((rank == 1 || rank == 2) && x.dim(0) >= pairs.query_rows() && (heads == 1 || heads == pairs.heads()))
    return heads;
  throw Error(Error::Kind::bug, where, x.shape().text() + " is not [N_q] or [N_q, H] of " + pairs.text());
}

// body(element of [N_q, heads], S) for every query.
template <class Body>
void for_each_position(const Pairs& pairs, std::int64_t heads, const Body& body) {
  for (std::int64_t b = 0; b < pairs.sequences(); ++b) {
    const std::int64_t first = pairs.queries().start[static_cast<std::size_t>(b)] * heads;
    for (std::int64_t n = 0; n < pairs.T(b) * heads; ++n) body(first + n, static_cast<float>(pairs.S(b)));
  }
}

}  // namespace

Tensor predicted_positions(const Context& ctx, const Tensor& x, const PairsPtr& pairs) {
  const std::int64_t heads = heads_of(x, *pairs, "predicted_positions: x");
  Tensor p = Tensor::zeros(x.shape());
  for_each_position(*pairs, heads,
                    [&](std::int64_t i, float S) { p.f32()[i] = S / (1.0f + std::exp(-x.f32()[i])); });
  if (!ctx.records({&x})) return p;

  require_grad(p);
  ctx.tape->record([x, p, pairs, heads] {
    const Tensor d_p = arrived_gradient(p);
    if (!d_p.defined()) return;
    Tensor d_x = Tensor::zeros(x.shape());
    for_each_position(*pairs, heads, [&](std::int64_t i, float S) {
      if (S > 0.0f) d_x.f32()[i] = d_p.f32()[i] * p.f32()[i] * (1.0f - p.f32()[i] / S);
    });
    give_gradient(x, d_x);
  });
  return p;
}

Tensor gaussian_window(const Context& ctx, const Tensor& weights, const Tensor& p, float sigma,
                       const PairsPtr& pairs) {
  pairs->expect(weights, "gaussian_window: weights");
  const kernels::GaussianWindow window{heads_of(p, *pairs, "gaussian_window: p"), sigma};
  Tensor out = Tensor::empty(weights.shape());
  kernels::gaussian_forward(ctx.exec, pairs->extents(), window, p.f32(), weights.f32(), out.f32());
  if (!ctx.records({&weights, &p})) return out;

  require_grad(out);
  ctx.tape->record([exec = ctx.exec, weights, p, window, pairs, out] {
    const Tensor d_out = arrived_gradient(out);
    if (!d_out.defined()) return;
    Tensor d_weights = Tensor::empty(weights.shape()), d_p = Tensor::zeros(p.shape());
    kernels::gaussian_backward(exec, pairs->extents(), window, p.f32(), weights.f32(), d_out.f32(),
                               d_weights.f32(), d_p.f32());
    give_gradient(weights, d_weights);
    give_gradient(p, d_p);
  });
  return out;
}

}  // namespace fovea::ops
