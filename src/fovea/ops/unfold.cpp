#include "fovea/ops/unfold.h"

#include <algorithm>

namespace fovea::ops {
namespace {

// body(n, w, from) for every element with a neighbour inside its sequence.
template <class Body>
void for_each_neighbour(const Sequences& sequences, std::int64_t W, const Body& body) {
  for (std::size_t b = 0; b < sequences.start.size(); ++b) {
    const std::int64_t first = sequences.start[b], count = sequences.count[b];
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t begin = std::max<std::int64_t>(0, W / 2 - i);
      const std::int64_t end = std::min(W, count - i + W / 2);
      for (std::int64_t w = begin; w < end; ++w) body(first + i, w, first + i + w - W / 2);
    }
  }
}

}  // namespace

Tensor unfold(const Context& ctx, const Tensor& x, const std::shared_ptr<const Sequences>& sequences,
              std::int64_t W) {
  expect_shape(x, {-1}, "unfold: x [N]");
  if (W < 1) throw Error(Error::Kind::bug, "unfold", "a window of " + std::to_string(W) + " elements");
  const bool records = ctx.records({&x});
  Tensor y = Tensor::zeros({x.dim(0), W});
  const float* from = x.f32();
  float* to = y.f32();
  for_each_neighbour(*sequences, W,
                     [=](std::int64_t n, std::int64_t w, std::int64_t at) { to[n * W + w] = from[at]; });
  if (!records) return y;

  require_grad(y);
  ctx.tape->record([x, y, sequences, W] {
    const Tensor d_y = arrived_gradient(y);
    if (!d_y.defined()) return;
    Tensor d_x = Tensor::zeros(x.shape());
    const float* d = d_y.f32();
    float* sum = d_x.f32();
    for_each_neighbour(*sequences, W,
                       [=](std::int64_t n, std::int64_t w, std::int64_t at) { sum[at] += d[n * W + w]; });
    give_gradient(x, d_x);
  });
  return y;
}

}  // namespace fovea::ops
