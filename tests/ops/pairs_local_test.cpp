#include "fovea/ops/pairs_local.h"

#include "fovea/ops/normalise.h"
#include "tests/ops/gradient_check.h"
#include "tests/ops/pairs_batch.h"

namespace fovea::ops {
namespace {

using LocalGradients = PairOps;
using LocalOp = PairOps;

TEST_F(LocalGradients, H01_PositionsAndGaussian) {
  const PairsPtr pairs = pairs_of(2, {3, 2, 1}, {4, 5, 0});
  for (const Shape& shape : {Shape{6}, Shape{6, 2}})
    check_gradients(
        [&](const Context& ctx, const std::vector<Tensor>& in) {
          return gaussian_window(ctx, in[0], predicted_positions(ctx, in[1], pairs), 1.5f, pairs);
        },
        {random_tensor({pairs->elements()}, 1), random_tensor(shape, 2)}, context());
}

// The whole of local-p, away from where a centre changes its nearest key (that window is not differentiable).
TEST_F(LocalGradients, H01_LocalP) {
  const PairsPtr pairs = pairs_of(1, {3}, {7});
  const Tensor x = Tensor::of({3}, std::vector<float>{-0.8f, 0.02f, 1.0f});  // p near 2.17, 3.53, 5.12
  auto window = std::make_shared<VisiblePairs>();
  window->centre = predicted_positions(context(), x, pairs);
  window->reach = 2;
  check_gradients(
      [&](const Context& ctx, const std::vector<Tensor>& in) {
        const Tensor weights = normalise(ctx, in[0], pairs, {Normaliser::softmax, 1.0f, window});
        return gaussian_window(ctx, weights, predicted_positions(ctx, in[1], pairs), 1.0f, pairs);
      },
      {random_tensor({21}, 1), x}, context());
}

TEST_F(LocalOp, LocalPByItsFormula) {
  const PairsPtr pairs = pairs_of(1, {2}, {9});
  const Tensor scores = random_tensor({18}, 1), x = Tensor::of({2}, std::vector<float>{0.3f, -3.0f});
  const Tensor p = predicted_positions(context(), x, pairs);
  VisiblePairs window;
  window.centre = p, window.reach = 2;
  const Tensor weights = normalise(context(), scores, pairs,
                                   {Normaliser::softmax, 1.0f, std::make_shared<VisiblePairs>(window)});
  const Tensor out = gaussian_window(context(), weights, p, 1.0f, pairs);
  for (std::int64_t t = 0; t < 2; ++t) {
    const double centre = 9.0 / (1.0 + std::exp(-double(x.f32()[t])));
    ASSERT_NEAR(p.f32()[t], centre, 1e-5);
    double sum = 0;
    const auto seen = [&](std::int64_t j) { return std::abs(double(j) - std::nearbyint(centre)) <= 2; };
    for (std::int64_t j = 0; j < 9; ++j) sum += seen(j) ? std::exp(double(scores.f32()[t * 9 + j])) : 0.0;
    for (std::int64_t j = 0; j < 9; ++j) {
      const double distance = double(j) - centre;
      const double expected =
          seen(j) ? std::exp(double(scores.f32()[t * 9 + j])) / sum * std::exp(-distance * distance / 2)
                  : 0.0;
      EXPECT_NEAR(out.f32()[t * 9 + j], expected, 2e-6);
    }
  }
  EXPECT_TRUE(differ(out, gaussian_window(context(), weights, p, 2.0f, pairs)));
  expect_error([&] { gaussian_window(context(), weights, Tensor::zeros({1}), 1.0f, pairs); }, "is not [N_q]");
  expect_error([&] { gaussian_window(context(), weights, p, -1.0f, pairs); }, "sigma");
}

}  // namespace
}  // namespace fovea::ops
