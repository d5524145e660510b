#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/ops/context.h"

namespace fovea::ops {

/// Values of a standard normal, times `scale`, the same for the same seed.
inline Tensor random_tensor(Shape shape, std::uint64_t seed, float scale = 1.0f) {
  Tensor tensor = Tensor::empty(shape);
  for (std::int64_t i = 0; i < tensor.elements(); ++i)
    tensor.f32()[i] = scale * normal(RandomKey::of(seed, 0, site::sample), static_cast<std::uint64_t>(i));
  return tensor;
}

using Function = std::function<Tensor(const Context&, const std::vector<Tensor>&)>;

/// Compares what backward() says about every input of `f` with differences of sum(r * f(inputs)), r random,
/// summed in double on the reference kernels: (8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h. Values are
/// stored as floats, so a difference carries noise of about 1e-7 |f| / h: hence the large step and the fourth
/// order.
inline void check_gradients(const Function& f, std::vector<Tensor> inputs, Context ctx,
                            double tolerance = 2e-3) {
  ctx.exec.kernels = kernels::KernelSet::reference;
  const auto evaluate = [&](const std::vector<Tensor>& at, const Tensor& r) {
    Context plain = ctx;
    plain.tape = nullptr;
    const Tensor y = f(plain, at);
    double sum = 0.0;
    for (std::int64_t i = 0; i < y.elements(); ++i) sum += double(y.f32()[i]) * double(r.f32()[i]);
    return sum;
  };
  Tape tape;
  ctx.tape = &tape;
  for (auto& input : inputs) require_grad(input);
  const Tensor y = f(ctx, inputs);
  const Tensor r = random_tensor(y.shape(), 99);
  give_gradient(y, r.clone());
  tape.backward();

  for (std::size_t n = 0; n < inputs.size(); ++n) {
    const Tensor gradient = inputs[n].grad();
    ASSERT_TRUE(gradient.defined()) << "input " << n << " got no gradient";
    double largest = 1e-2;
    for (const float g : gradient.values()) largest = std::max(largest, double(std::abs(g)));
    const std::int64_t stride = std::max<std::int64_t>(1, inputs[n].elements() / 40);
    for (std::int64_t i = 0; i < inputs[n].elements(); i += stride) {
      std::vector<Tensor> moved = inputs;
      moved[n] = inputs[n].clone();
      const float x = inputs[n].f32()[i], h = 0.02f;
      const auto at = [&](float offset) {
        moved[n].f32()[i] = x + offset;
        return evaluate(moved, r);
      };
      const double numeric = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12.0 * h);
      EXPECT_NEAR(gradient.f32()[i], numeric, tolerance * largest) << "input " << n << " element " << i;
    }
  }
}

}  // namespace fovea::ops
