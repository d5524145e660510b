#include "fovea/ops/relative.h"

#include <algorithm>

#include "tests/ops/gradient_check.h"
#include "tests/ops/pairs_batch.h"

namespace fovea::ops {
namespace {

using RelativeGradients = PairOps;
using RelativeOp = PairOps;
using kernels::RowAlignment;

TEST_F(RelativeGradients, H01_KeysAndValues) {
  const PairsPtr pairs = pairs_of(2, {3, 2, 0}, {4, 5, 1});
  for (const auto alignment : {RowAlignment::end, RowAlignment::start})
    for (const std::int64_t R : {0, 1, 9}) {
      check_gradients(
          [&](const Context& ctx, const std::vector<Tensor>& in) {
            return add_relative_keys(ctx, in[0], {in[1], 1}, in[2], pairs, {3, 0.6f, alignment});
          },
          {random_tensor({pairs->elements()}, 1), random_tensor({5, 8}, 2), random_tensor({2 * R + 1, 3}, 3)},
          context());
      check_gradients(
          [&](const Context& ctx, const std::vector<Tensor>& in) {
            return add_relative_values(ctx, in[0], in[1], in[2], pairs, {4, 1.0f, alignment});
          },
          {random_tensor({5, 8}, 1), random_tensor({pairs->elements()}, 2), random_tensor({2 * R + 1, 4}, 3)},
          context());
    }
}

// Equations 3 and 4 of Shaw et al. with the vectors of every pair written out.
TEST_F(RelativeOp, AgreesWithTheEquations) {
  const std::vector<std::int32_t> T = {6, 0, 1, 40, 7}, S = {6, 3, 9, 31, 2};
  const PairsPtr pairs = pairs_of(2, T, S);
  const std::int64_t N = 54, E = 5;
  for (const auto alignment : {RowAlignment::end, RowAlignment::start})
    for (const std::int64_t R : {0, 2, 16}) {
      const Tensor scores = random_tensor({pairs->elements()}, 1), q = random_tensor({N, 2 * E}, 2);
      const Tensor rK = random_tensor({2 * R + 1, E}, 3), rV = random_tensor({2 * R + 1, E}, 4);
      const Tensor mixed = random_tensor({N, 2 * E}, 5);
      for (const auto set : kernels::available_kernels()) {
        Context ctx = context();
        ctx.exec.kernels = set;
        const Tensor out = add_relative_keys(ctx, scores, {q}, rK, pairs, {E, 0.5f, alignment});
        const Tensor values = add_relative_values(ctx, mixed, scores, rV, pairs, {E, 1.0f, alignment});
        std::vector<double> expected(mixed.values().begin(), mixed.values().end());
        std::int64_t pair = 0, row = 0;
        for (std::size_t b = 0; b < T.size(); row += T[b++])
          for (std::int64_t h = 0; h < 2; ++h)
            for (std::int64_t t = 0; t < T[b]; ++t)
              for (std::int64_t j = 0; j < S[b]; ++j, ++pair) {
                const std::int64_t i = alignment == RowAlignment::end ? t + S[b] - T[b] : t;
                const std::int64_t r = std::clamp<std::int64_t>(j - i, -R, R) + R;
                double score = scores.f32()[pair];
                for (std::int64_t e = 0; e < E; ++e) {
                  score += 0.5 * q.f32()[(row + t) * 2 * E + h * E + e] * double(rK.f32()[r * E + e]);
                  expected[std::size_t((row + t) * 2 * E + h * E + e)] +=
                      scores.f32()[pair] * double(rV.f32()[r * E + e]);
                }
                ASSERT_NEAR(out.f32()[pair], score, 1e-5);
              }
        for (std::int64_t i = 0; i < values.elements(); ++i)
          ASSERT_NEAR(values.f32()[i], expected[std::size_t(i)], 2e-5);
      }
    }
}

TEST_F(RelativeOp, ShapesThatDoNotFit) {
  const PairsPtr pairs = pairs_of(2, {3}, {4});
  const Tensor scores = Tensor::zeros({24}), q = Tensor::zeros({3, 6});
  expect_error(
      [&] {
        add_relative_keys(context(), scores, {q}, Tensor::zeros({4, 3}), pairs, {3});
      },
      "[4, 3] has not an odd number of distances");
  expect_error(
      [&] {
        add_relative_keys(context(), scores, {q, 1}, Tensor::zeros({3, 3}), pairs, {3});
      },
      "do not fit in [3, 6]");
  expect_error(
      [&] {
        add_relative_values(context(), q, scores, Tensor::zeros({3, 4}), pairs, {3});
      },
      "rV [2R+1, Ev]");
}

}  // namespace
}  // namespace fovea::ops
