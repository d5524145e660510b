#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fovea/models/model.h"
#include "fovea/ops/context.h"
#include "fovea/ops/cross_entropy.h"
#include "fovea/ops/tape.h"

namespace fovea::models {

/// Expects the gradients of a model's loss to be its derivatives, at about `samples` elements of each
/// parameter: differences of the loss a little above and below. `loss_in` is the sum of losses, weight 1.
template <class Loss>
void expect_gradients_are_derivatives(Model& model, ops::Context ctx, std::int64_t samples,
                                      const Loss& loss_in) {
  model.parameters().allocate_gradients();
  ctx.training = true;  // dropout is a function of the counter: the same in every evaluation
  const auto loss = [&] { return loss_in(ctx).loss; };
  ops::Tape tape;
  ctx.tape = &tape;
  loss();
  tape.backward();
  ctx.tape = nullptr;
  for (auto& parameter : model.parameters().all()) {
    const std::int64_t stride = std::max<std::int64_t>(1, parameter.value.elements() / samples);
    for (std::int64_t i = 0; i < parameter.value.elements(); i += stride) {
      float& w = parameter.value.f32()[i];
      const float at_rest = w, h = 4e-3f;
      const auto at = [&](float offset) {
        w = at_rest + offset;
        const double value = loss();
        w = at_rest;
        return value;
      };
      const double gradient = parameter.value.grad().f32()[i];
      EXPECT_NEAR(gradient, (at(h) - at(-h)) / (2 * h), 5e-3 * std::max(1.0, std::abs(gradient)))
          << parameter.name << (parameter.parts.empty() ? "" : parameter.parts.front().name) << " " << i;
    }
  }
}

}  // namespace fovea::models
