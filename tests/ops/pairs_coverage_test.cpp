#include "fovea/ops/pairs_coverage.h"

#include "fovea/ops/pairs_bias.h"
#include "tests/ops/gradient_check.h"
#include "tests/ops/pairs_batch.h"

namespace fovea::ops {
namespace {

using CoverageGradients = PairOps;
using CoverageOp = PairOps;

TEST_F(CoverageGradients, H01_Sums) {
  const PairsPtr pairs = pairs_of(2, {3, 2, 0}, {4, 5, 1});
  check_gradients(
      [&](const Context& ctx, const std::vector<Tensor>& in) { return coverage(ctx, in[0], pairs); },
      {random_tensor({pairs->elements()}, 1)}, context());
}

TEST_F(CoverageGradients, H01_Loss) {
  const PairsPtr pairs = pairs_of(2, {3, 2, 0}, {4, 5, 1});
  Tensor w = random_tensor({pairs->elements()}, 1), c = random_tensor({pairs->elements()}, 2);
  for (std::int64_t i = 0; i < w.elements(); ++i)  // farther apart than a difference steps
    if (std::abs(w.f32()[i] - c.f32()[i]) < 0.2f) w.f32()[i] += w.f32()[i] < c.f32()[i] ? -0.2f : 0.2f;
  check_gradients([&](const Context& ctx,
                      const std::vector<Tensor>& in) { return coverage_loss(ctx, in[0], in[1], pairs); },
                  {w, c}, context());
}

TEST_F(CoverageOp, ByHandAndStepByStep) {
  const PairsPtr pairs = pairs_of(1, {3}, {2});
  const Tensor w = Tensor::of({6}, std::vector<float>{0.75f, 0.25f, 0.5f, 0.5f, 0.125f, 0.875f});
  const Tensor c = coverage(context(), w, pairs);
  EXPECT_EQ(std::vector<float>(c.values().begin(), c.values().end()),
            (std::vector<float>{0, 0, 0.75f, 0.25f, 1.25f, 0.75f}));
  const Tensor loss = coverage_loss(context(), w, c, pairs);
  EXPECT_EQ(std::vector<float>(loss.values().begin(), loss.values().end()),
            (std::vector<float>{0, 0.75f, 0.125f + 0.75f}));
  const PairsPtr step = pairs_of(1, {1}, {2});
  Tensor running = Tensor::zeros({2});
  for (std::int64_t t = 0; t < 3; ++t) {
    EXPECT_FALSE(differ(running, c.slice(t * 2, {2})));
    const Tensor now = w.slice(t * 2, {2});
    EXPECT_EQ(coverage_loss(context(), now, running, step).f32()[0], loss.f32()[t]);
    running = add_bias(context(), running, now, step);
  }
}

TEST_F(CoverageOp, EqualsSendTheGradientToTheWeights) {
  const PairsPtr pairs = pairs_of(1, {1}, {3});
  Tensor w = Tensor::of({3}, std::vector<float>{0.25f, 0.5f, 0.25f});
  Tensor c = Tensor::of({3}, std::vector<float>{0.25f, 0.25f, 0.5f});
  require_grad(w), require_grad(c);
  Tape tape;
  Context ctx = context();
  ctx.tape = &tape;
  const Tensor loss = coverage_loss(ctx, w, c, pairs);
  give_gradient(loss, Tensor::full({1, 1}, 2.0f));
  tape.backward();
  EXPECT_FALSE(differ(w.grad(), Tensor::of({3}, std::vector<float>{2, 0, 2})));
  EXPECT_FALSE(differ(c.grad(), Tensor::of({3}, std::vector<float>{0, 2, 0})));
}

}  // namespace
}  // namespace fovea::ops
