// Low-rank terms of a product: values by the formula, gradients, and the bits of the base where B is zero.
#include "fovea/ops/low_rank.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "fovea/ops/linear.h"
#include "tests/base/scratch.h"
#include "tests/ops/gradient_check.h"

namespace fovea::ops {
namespace {

using kernels::Activation;

constexpr std::int64_t N = 5, in = 7, out = 9;

Context context(bool training = false) {
  static const kernels::ExecutionOwner owner(2);
  return {.exec = owner.get(), .training = training, .seed = 3, .update = 2};
}

/// Terms of a product whose output has parts, as q, k and v: of the first and the last, not of that between.
std::vector<LowRank> terms_of(const std::vector<Tensor>& tensors, float p) {
  return {{tensors[0], tensors[1], 0, 0.5f, {p, 7}}, {tensors[2], tensors[3], 6, 2.0f, {p, 8}}};
}

std::vector<Tensor> pairs() {
  return {random_tensor({2, in}, 1), random_tensor({3, 2}, 2), random_tensor({4, in}, 3),
          random_tensor({3, 4}, 4)};
}

TEST(LowRank, AddsScaleTimesBAxToItsColumns) {
  const Tensor x = random_tensor({N, in}, 5), W = random_tensor({out, in}, 6), b = random_tensor({out}, 7);
  const auto terms = terms_of(pairs(), 0.0f);
  const Tensor y = linear(context(), x, W, b, terms, {.activation = Activation::tanh});
  for (std::int64_t n = 0; n < N; ++n)
    for (std::int64_t o = 0; o < out; ++o) {
      double sum = b.f32()[o];
      for (std::int64_t i = 0; i < in; ++i) {
        double w = W.f32()[o * in + i];
        for (const LowRank& term : terms)
          for (std::int64_t r = 0, row = o - term.first; row >= 0 && row < 3 && r < term.rank(); ++r)
            w += double(term.scale) * term.B.f32()[row * term.rank() + r] * term.A.f32()[r * in + i];
        sum += w * x.f32()[n * in + i];
      }
      EXPECT_NEAR(y.f32()[n * out + o], std::tanh(sum), 1e-5) << n << " " << o;
    }
}

TEST(LowRank, GradientsOfXAAndB) {
  for (const bool training : {false, true})
    for (const auto activation : {Activation::identity, Activation::gelu}) {
      std::vector<Tensor> inputs = pairs();
      inputs.push_back(random_tensor({N, in}, 5));
      const Tensor W = random_tensor({out, in}, 6), b = random_tensor({out}, 7);
      check_gradients(
          [&](const Context& ctx, const std::vector<Tensor>& at) {
            return linear(ctx, at[4], W, b, terms_of(at, 0.3f), {.activation = activation, .dropout = 0.2f});
          },
          inputs, context(training));
    }
}

TEST(LowRank, TheMatrixMayLearnToo) {
  std::vector<Tensor> inputs = pairs();
  for (Tensor more : {random_tensor({N, in}, 5), random_tensor({out, in}, 6), random_tensor({out}, 7)})
    inputs.push_back(more);
  check_gradients(
      [&](const Context& ctx, const std::vector<Tensor>& at) {
        return linear(ctx, at[4], at[5], at[6], terms_of(at, 0.3f), {});
      },
      inputs, context(true));
}

TEST(LowRank, WithBZeroTheBitsAreThoseOfTheBase) {
  auto tensors = pairs();
  tensors[1] = Tensor::zeros({3, 2});
  tensors[3] = Tensor::zeros({3, 4});
  const Tensor x = random_tensor({67, in}, 5), W = random_tensor({out, in}, 6), b = random_tensor({out}, 7);
  for (const auto activation : {Activation::identity, Activation::relu, Activation::gelu})
    for (const Tensor& bias : {b, Tensor()}) {
      const Tensor base = linear(context(), x, W, bias, {.activation = activation});
      const Tensor same = linear(context(), x, W, bias, terms_of(tensors, 0.1f), {.activation = activation});
      EXPECT_EQ(std::memcmp(base.raw(), same.raw(), base.bytes()), 0);
    }
}

TEST(LowRank, ARowsBitsDoNotDependOnItsNeighbours) {
  const Tensor x = random_tensor({67, in}, 5), W = random_tensor({out, in}, 6);
  const auto terms = terms_of(pairs(), 0.0f);
  const Tensor whole = linear(context(), x, W, {}, terms, {});
  for (const std::int64_t n : {0, 13, 66}) {
    const Tensor one = linear(context(), x.rows(n, n + 1), W, {}, terms, {});
    EXPECT_EQ(std::memcmp(one.raw(), whole.f32() + n * out, one.bytes()), 0) << n;
  }
}

TEST(LowRank, ShapesThatDoNotFitAreNamed) {
  const Tensor x = random_tensor({N, in}, 5), W = random_tensor({out, in}, 6);
  const auto expect = [&](const LowRank& term, const char* part) {
    test::expect_error(
        Error::Kind::bug, [&] { linear(context(), x, W, {}, std::span(&term, 1), {}); }, part);
  };
  expect({random_tensor({2, in + 1}, 1), random_tensor({3, 2}, 2)}, "A [r, in]");
  expect({random_tensor({2, in}, 1), random_tensor({3, 3}, 2)}, "B [out, r]");
  expect({random_tensor({2, in}, 1), random_tensor({3, 2}, 2), 7}, "beyond the output");
}

}  // namespace
}  // namespace fovea::ops
