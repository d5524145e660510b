#include "fovea/ops/pairs_coverage.h"

#include "fovea/ops/pairs_bias.h"
#include "fovea/ops/rows.h"
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

/// Sequences of 3, 2 and 1 outputs, sorted so, that look at 4, 5 and 3 tokens with two heads: a step serves
/// those that go on.
class CoverageSteps : public PairOps {
 protected:
  CoverageSteps() {
    for (std::uint64_t t = 0; t < 3; ++t) {
      const std::vector<std::int32_t> one(3 - t, 1);
      pairs_.push_back(pairs_of(2, one, {S_.begin(), S_.end() - static_cast<std::ptrdiff_t>(t)}));
      weights_.push_back(random_tensor({pairs_[t]->elements()}, 20 + t));
    }
  }

  double cost(const Context& ctx, const std::vector<Tensor>& weights, float weight) const {
    Tensor covered = Tensor::zeros({pairs_[0]->elements()});
    double sum = 0.0;
    for (std::size_t t = 0; t < 3; ++t) {
      covered = rows(ctx, covered, 0, pairs_[t]->elements());
      sum += coverage_cost(ctx, weights[t], covered, pairs_[t], weight);
      covered = add_bias(ctx, covered, weights[t], pairs_[t]);
    }
    return sum;
  }

  std::vector<std::int32_t> S_{4, 5, 3};
  std::vector<PairsPtr> pairs_;
  std::vector<Tensor> weights_;
};

TEST_F(CoverageSteps, AreWhatAllAtOnceIs) {
  const PairsPtr all = pairs_of(2, {3, 2, 1}, S_);
  Tensor together = Tensor::zeros({all->elements()});
  for (std::int64_t b = 0; b < 3; ++b)
    for (std::int64_t h = 0; h < 2; ++h)
      for (std::int64_t t = 0; t < all->T(b); ++t)
        std::copy_n(weights_[static_cast<std::size_t>(t)].f32() +
                        pairs_[static_cast<std::size_t>(t)]->extents().row(b, h, 0),
                    all->S(b), together.f32() + all->extents().row(b, h, t));
  const double expected = coverage_cost(context(), together, coverage(context(), together, all), all, 1.0f);
  EXPECT_NEAR(cost(context(), weights_, 1.0f), expected, 1e-5);
  EXPECT_NE(expected, 0.0);
}

// The cost takes no gradient of its own: its weight is what the check multiplies it by.
TEST_F(CoverageSteps, H01_Gradients) {
  std::vector<float> covered(static_cast<std::size_t>(pairs_[0]->elements()));
  for (Tensor& w : weights_)  // farther apart than a difference steps
    for (std::int64_t i = 0; i < w.elements(); ++i) {
      float& sum = covered[static_cast<std::size_t>(i)];
      if (std::abs(w.f32()[i] - sum) < 0.1f) w.f32()[i] = sum + 0.2f;
      sum += w.f32()[i];
    }
  const float r = random_tensor({1}, 99).f32()[0];
  check_gradients(
      [&](const Context& ctx, const std::vector<Tensor>& in) {
        Tensor sum = Tensor::full({1}, static_cast<float>(cost(ctx, in, r)));
        require_grad(sum);
        return sum;
      },
      weights_, context());
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
