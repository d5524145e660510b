#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "fovea/nn/layers.h"
#include "tests/ops/gradient_check.h"

namespace fovea::test {

/// A module under test with its parameters; set(), after it was built, gives each of them random values,
/// biases far from zero (+-1.5), so that steps of finite differences do not cross the kink of a relu.
class ModuleFixture : public testing::Test {
 protected:
  void set(float scale = 0.3f) {
    parameters.allocate(1);
    std::uint64_t seed = 40;
    for (auto& parameter : parameters.all()) {
      const Tensor random = ops::random_tensor(parameter.shape, seed++, scale);
      for (std::int64_t i = 0; i < random.elements(); ++i) {
        const bool is_bias = parameter.shape.rank() == 1;
        parameter.value.f32()[i] = random.f32()[i] + (is_bias ? (i % 2 ? -1.5f : 1.5f) : 0.0f);
      }
    }
  }
  ops::Context context() const {
    ops::Context ctx;
    ctx.exec = owner.get();
    return ctx;
  }
  /// A parameter (or a named part) in double.
  std::vector<double> values(const std::string& name) const {
    for (const auto& view : parameters.views())
      if (view.name == name) return {view.value.values().begin(), view.value.values().end()};
    ADD_FAILURE() << "no parameter " << name;
    return {};
  }
  /// Gradients of forward(ctx, x) by x and by every parameter, and that every parameter but those named (by
  /// their first part, if packed) changes the result.
  template <class Forward>
  void check(const Tensor& x, const Forward& forward, const std::set<std::string>& without_effect = {},
             double tolerance = 2e-3) {
    std::vector<Tensor> inputs{x};
    for (const auto& parameter : parameters.all()) inputs.push_back(parameter.value.clone());
    const auto f = [&](const ops::Context& ctx, const std::vector<Tensor>& in) {
      for (std::size_t i = 1; i < in.size(); ++i) parameters.all()[i - 1].value = in[i];
      return forward(ctx, in[0]);
    };
    const Tensor before = f(context(), inputs).clone();
    for (std::size_t i = 1; i < inputs.size(); ++i) {
      const auto& parameter = parameters.all()[i - 1];
      const std::string name = parameter.parts.empty() ? parameter.name : parameter.parts.front().name;
      auto moved = inputs;
      moved[i] = inputs[i].clone();
      for (float& value : moved[i].values()) value += 0.25f + 0.5f * std::abs(value);
      const Tensor after = f(context(), moved);
      double change = 0;
      for (std::int64_t e = 0; e < after.elements(); ++e)
        change = std::max(change, double(std::abs(after.f32()[e] - before.f32()[e])));
      if (without_effect.contains(name))
        EXPECT_LT(change, 1e-4) << name;
      else
        EXPECT_GT(change, 1e-3) << name;
    }
    ops::check_gradients(f, inputs, context(), tolerance);
    for (std::size_t i = 1; i < inputs.size(); ++i) parameters.all()[i - 1].value = inputs[i];
  }

  kernels::ExecutionOwner owner{2};
  nn::Parameters parameters;
  nn::Builder builder{parameters};
};

/// x with values far apart, a permutation of multiples of 0.25 / 16, so that steps do not change which is
/// largest.
inline Tensor spread_image(const Shape& shape) {
  Tensor x = Tensor::empty(shape);
  std::int64_t step = 37;
  while (x.elements() % step == 0) step += 2;
  for (std::int64_t i = 0; i < x.elements(); ++i)
    x.f32()[i] =
        0.125f * static_cast<float>(i * step % x.elements()) - 0.06f * static_cast<float>(x.elements());
  return x;
}

inline double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// y = W x + b in double, W [out, in].
inline std::vector<double> affine(const std::vector<double>& W, const std::vector<double>& b,
                                  const std::vector<double>& x) {
  std::vector<double> y = b;
  for (std::size_t o = 0; o < y.size(); ++o)
    for (std::size_t i = 0; i < x.size(); ++i) y[o] += W[o * x.size() + i] * x[i];
  return y;
}

inline std::vector<double> relu(std::vector<double> x) {
  for (double& value : x) value = std::max(0.0, value);
  return x;
}

inline void expect_close(const Tensor& actual, const std::vector<double>& expected, double tolerance = 1e-5) {
  ASSERT_EQ(actual.elements(), static_cast<std::int64_t>(expected.size()));
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(actual.f32()[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << i;
}

}  // namespace fovea::test
