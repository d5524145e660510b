#include "fovea/ops/pairs_bias.h"

#include "tests/ops/gradient_check.h"
#include "tests/ops/pairs_batch.h"

namespace fovea::ops {
namespace {

using BiasGradients = PairOps;
using BiasOp = PairOps;

// body(pair, b, h, t, j)
template <class Body>
void for_each_pair(const Pairs& pairs, const Body& body) {
  std::int64_t pair = 0;
  for (std::int64_t b = 0; b < pairs.sequences(); ++b)
    for (std::int64_t h = 0; h < pairs.heads(); ++h)
      for (std::int64_t t = 0; t < pairs.T(b); ++t)
        for (std::int64_t j = 0; j < pairs.S(b); ++j) body(pair++, b, h, t, j);
}

TEST_F(BiasGradients, H01_EveryBroadcast) {
  const PairsPtr pairs = pairs_of(2, {3, 2, 0}, {2, 4, 1});
  const std::vector<Shape> shapes = {{28},      {14},      {1},          {1, 1, 1},    {2, 1, 1},   {1, 3, 4},
                                     {2, 5, 4}, {2, 1, 4}, {3, 2, 3, 4}, {3, 1, 1, 4}, {1, 2, 3, 1}};
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(shape.text());
    check_gradients(
        [&](const Context& ctx, const std::vector<Tensor>& in) { return add_bias(ctx, in[0], in[1], pairs); },
        {random_tensor({28}, 1), random_tensor(shape, 2)}, context());
  }
}

TEST_F(BiasGradients, H01_ByDistance) {
  const PairsPtr pairs = pairs_of(2, {3, 2, 0}, {2, 4, 1});
  for (const auto alignment : {kernels::RowAlignment::end, kernels::RowAlignment::start})
    for (const std::int64_t heads : {1, 2})
      check_gradients(
          [&](const Context& ctx, const std::vector<Tensor>& in) {
            return add_relative(ctx, in[0], in[1], 4, pairs, alignment);
          },
          {random_tensor({28}, 1), random_tensor({heads, 9}, 2)}, context());
}

TEST_F(BiasOp, ElementsAreThoseOfTheShape) {
  const PairsPtr pairs = pairs_of(2, {3, 2}, {2, 4});
  const Tensor zeros = Tensor::zeros({28});
  const Tensor full = random_tensor({2, 2, 3, 4}, 1), heads = random_tensor({2, 1, 1}, 2);
  const Tensor shared = random_tensor({14}, 3);
  const Tensor a = add_bias(context(), zeros, full, pairs), b = add_bias(context(), zeros, heads, pairs);
  const Tensor c = add_bias(context(), zeros, shared, pairs);
  for_each_pair(*pairs,
                [&](std::int64_t pair, std::int64_t n, std::int64_t h, std::int64_t t, std::int64_t j) {
                  EXPECT_EQ(a.f32()[pair], full.f32()[((n * 2 + h) * 3 + t) * 4 + j]);
                  EXPECT_EQ(b.f32()[pair], heads.f32()[h]);
                  EXPECT_EQ(c.f32()[pair], shared.f32()[(n ? 6 : 0) + t * pairs->S(n) + j]);
                });
}

// ALiBi (Press et al. 2022): -slope |i - j|, from a table and by its formula.
TEST_F(BiasOp, AlibiByTable) {
  const PairsPtr pairs = pairs_of(2, {3, 4}, {5, 4});
  const std::int64_t zero = 4;
  Tensor table = Tensor::empty({2, 9});
  for (std::int64_t h = 0; h < 2; ++h)
    for (std::int64_t d = -4; d <= 4; ++d)
      table.f32()[h * 9 + zero + d] = -std::ldexp(1.0f, -4 * int(h + 1)) * float(std::abs(d));
  const Tensor out = add_relative(context(), Tensor::zeros({62}), table, zero, pairs);
  for_each_pair(*pairs,
                [&](std::int64_t pair, std::int64_t b, std::int64_t h, std::int64_t t, std::int64_t j) {
                  const std::int64_t i = t + pairs->S(b) - pairs->T(b);
                  EXPECT_EQ(out.f32()[pair], -std::ldexp(1.0f, -4 * int(h + 1)) * float(std::abs(i - j)));
                });
  EXPECT_TRUE(differ(
      out, add_relative(context(), Tensor::zeros({62}), table, zero, pairs, kernels::RowAlignment::start)));
}

TEST_F(BiasOp, ShapesThatDoNotFit) {
  const PairsPtr pairs = pairs_of(2, {3, 2}, {2, 4});
  const Tensor scores = Tensor::zeros({28});
  expect_error(
      [&] {
        add_bias(context(), scores, Tensor::zeros({2, 3, 3}), pairs);
      },
      "[2, 3, 3] does not broadcast to B 2, H 2, T 3+2, S 2+4");
  expect_error(
      [&] {
        add_bias(context(), scores, Tensor::zeros({3, 1, 1, 1}), pairs);
      },
      "does not broadcast");
  expect_error([&] { add_bias(context(), scores, Tensor::zeros({27}), pairs); }, "does not broadcast");
  expect_error(
      [&] {
        add_relative(context(), scores, Tensor::zeros({2, 5}), 2, pairs);
      },
      "are not within -2 to 2");
  expect_error(
      [&] {
        add_relative(context(), scores, Tensor::zeros({3, 9}), 4, pairs);
      },
      "neither [H, distances]");
}

}  // namespace
}  // namespace fovea::ops
