#include "fovea/ops/normalise_monotonic.h"

#include <limits>

#include "tests/ops/gradient_check.h"
#include "tests/ops/pairs_batch.h"

namespace fovea::ops {
namespace {

using MonotonicGradients = PairOps;
using MonotonicOp = PairOps;

std::shared_ptr<VisiblePairs> causal() {
  auto mask = std::make_shared<VisiblePairs>();
  mask->causal = true;
  return mask;
}

TEST_F(MonotonicGradients, H01_Monotonic) {
  const PairsPtr pairs = pairs_of(2, {3, 2, 0}, {4, 5, 2});
  for (const MonotonicMode mode : {MonotonicMode::recursive, MonotonicMode::parallel})
    for (const float noise : {0.0f, 1.0f})
      for (const auto& mask : {std::shared_ptr<VisiblePairs>(), causal()})
        check_gradients(
            [&](const Context& ctx, const std::vector<Tensor>& in) {
              return monotonic(ctx, in[0], pairs, {mode, noise, 1001, mask});
            },
            {random_tensor({pairs->elements()}, 1)}, context(true));
}

TEST_F(MonotonicGradients, H01_MonotonicFromAPreviousRow) {
  const PairsPtr pairs = pairs_of(2, {1, 3, 0}, {4, 5, 2});
  for (const MonotonicMode mode : {MonotonicMode::recursive, MonotonicMode::parallel})
    check_gradients(
        [&](const Context& ctx, const std::vector<Tensor>& in) {
          return monotonic(ctx, in[0], pairs, {.mode = mode}, in[1]);
        },
        {random_tensor({pairs->elements()}, 1), random_tensor({22}, 2)}, context());
}

TEST_F(MonotonicGradients, H01_Chunkwise) {
  const PairsPtr pairs = pairs_of(2, {3, 2, 0}, {4, 5, 2});
  for (const auto& mask : {std::shared_ptr<VisiblePairs>(), causal()})
    check_gradients(
        [&](const Context& ctx, const std::vector<Tensor>& in) {
          return chunkwise(ctx, monotonic(ctx, in[0], pairs, {.mask = mask}), in[1], pairs, 3, mask);
        },
        {random_tensor({pairs->elements()}, 1), random_tensor({pairs->elements()}, 2)}, context());
}

TEST_F(MonotonicOp, EveryParameterChangesTheAnswer) {
  const PairsPtr pairs = pairs_of(1, {4}, {5});
  const Tensor scores = random_tensor({20}, 3);
  const Context ctx = context(true);
  const Tensor plain = monotonic(ctx, scores, pairs, {});
  EXPECT_TRUE(differ(plain, monotonic(ctx, scores, pairs, {.mode = MonotonicMode::hard})));
  const Tensor noisy = monotonic(ctx, scores, pairs, {.noise = 1.0f, .site = 1001});
  EXPECT_TRUE(differ(plain, noisy));
  EXPECT_TRUE(differ(noisy, monotonic(ctx, scores, pairs, {.noise = 1.0f, .site = 1002})));
  EXPECT_TRUE(differ(noisy, monotonic(ctx, scores, pairs, {.noise = 2.0f, .site = 1001})));
  EXPECT_FALSE(differ(plain, monotonic(context(false), scores, pairs, {.noise = 1.0f})));  // training alone
  EXPECT_TRUE(differ(plain, monotonic(ctx, scores, pairs, {.mask = causal()})));
  EXPECT_TRUE(differ(plain, monotonic(ctx, scores, pairs, {}, Tensor::full({5}, 0.2f))));
  const Tensor energies = random_tensor({20}, 4);
  const Tensor two = chunkwise(ctx, plain, energies, pairs, 2);
  EXPECT_TRUE(differ(two, chunkwise(ctx, plain, energies, pairs, 3)));
  EXPECT_TRUE(differ(two, chunkwise(ctx, plain, scores, pairs, 2)));
  EXPECT_TRUE(differ(two, chunkwise(ctx, plain, energies, pairs, 2, causal())));
}

TEST_F(MonotonicOp, HardSendsNoGradientAndNothingHiddenLeaks) {
  const PairsPtr pairs = pairs_of(1, {2}, {3});
  Tape tape;
  Context ctx = context();
  ctx.tape = &tape;
  Tensor scores = random_tensor({6}, 3);
  require_grad(scores);
  EXPECT_FALSE(monotonic(ctx, scores, pairs, {.mode = MonotonicMode::hard}).requires_grad());
  scores.f32()[2] = std::numeric_limits<float>::quiet_NaN();  // hidden from the first row
  const Tensor alpha = monotonic(ctx, scores, pairs, {.mask = causal()});
  Tensor d = Tensor::full({6}, 1.0f);
  d.f32()[2] = scores.f32()[2];
  give_gradient(alpha, d);
  tape.backward();
  for (const float value : alpha.values()) EXPECT_FALSE(std::isnan(value));
  for (const float value : scores.grad().values()) EXPECT_FALSE(std::isnan(value));
}

TEST_F(MonotonicOp, APreviousRowThatDoesNotFit) {
  const PairsPtr pairs = pairs_of(2, {4, 1}, {5, 2});
  expect_error([&] { monotonic(context(), Tensor::zeros({44}), pairs, {}, Tensor::zeros({13})); },
               "[13] is not the 14 values [H, S] of H 2, T 4+1, S 5+2");
}

}  // namespace
}  // namespace fovea::ops
