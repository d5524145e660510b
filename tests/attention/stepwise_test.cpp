#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fovea/attention/attend.h"
#include "fovea/attention/match_score.h"
#include "fovea/ops/rows.h"
#include "tests/ops/gradient_check.h"

namespace fovea::attention {
namespace {

using ops::Context;
using ops::random_tensor;

constexpr std::int64_t width = 6, value_width = 4, steps = 3;

// Three sentences, S = 4, 2 and 3, read by three steps.
class AttendStepwise : public testing::Test {
 protected:
  struct Read {
    std::vector<Tensor> inputs, contexts;  // inputs: keys, values, a query a step
    std::vector<Kernel> kernels;
    Tensor gradients;  // of parameters
  };

  // All sentences at every step, or one fewer each. Where a memory is not stepwise, who is through asks
  // nothing.
  Read read(const std::string& name, AttendOptions how, bool stepwise, bool shrinks) {
    nn::Parameters parameters;
    nn::Builder builder(parameters);
    const auto score = make_score(builder, "score",
                                  {.name = name, .query_width = width, .key_width = width, .width = width});
    parameters.allocate(7);
    parameters.allocate_gradients();
    ops::Tape tape;
    Context ctx;
    ctx.exec = owner_.get();
    ctx.tape = &tape;
    Read r;
    for (const Tensor& input : {random_tensor({9, width}, 1), random_tensor({9, value_width}, 2)})
      r.inputs.push_back(input);
    for (std::int64_t t = 0; t < steps; ++t)
      r.inputs.push_back(random_tensor({shrinks ? 3 - t : 3, width}, 3 + static_cast<std::uint64_t>(t)));
    for (Tensor& input : r.inputs) ops::require_grad(input);
    const Memory memory = (stepwise ? remember_stepwise : remember)(ctx, *score, {r.inputs[0]}, {r.inputs[1]},
                                                                    value_width, keys_);
    const auto* location = dynamic_cast<const LocationScore*>(score.get());
    if (location || how.normaliser == Normaliser::monotonic) how.weights = WeightsWanted::with_gradient;
    Tensor previous;
    for (std::int64_t t = 0; t < steps; ++t) {
      const std::int64_t alive = shrinks ? 3 - t : 3;
      Memory seen = memory;
      if (location && t > 0) {
        if (stepwise) previous = previous.defined() ? first_of(ctx, previous, alive) : previous;
        seen = location->memory_after(ctx, memory, previous);
      }
      if (how.normaliser == Normaliser::monotonic) how.previous = previous;
      const auto asks = one_each(alive, stepwise ? alive : 3);
      const Attended attended =
          attend(ctx, *score, {r.inputs[static_cast<std::size_t>(2 + t)]}, asks, seen, how);
      previous = attended.weights;
      r.contexts.push_back(attended.context);
      r.kernels.push_back(attended.kernel);
    }
    for (std::size_t t = 0; t < r.contexts.size(); ++t)
      ops::give_gradient(r.contexts[t], random_tensor(r.contexts[t].shape(), 30 + t));
    tape.backward();
    r.gradients = parameters.gradients();
    return r;
  }

  static void expect_same(const Tensor& a, const Tensor& b, const std::string& what) {
    ASSERT_EQ(a.elements(), b.elements()) << what;
    for (std::int64_t i = 0; i < a.elements(); ++i)
      ASSERT_NEAR(a.f32()[i], b.f32()[i], 2e-5) << what << " " << i;
  }
  void check(const std::string& name, const AttendOptions& how, bool shrinks) {
    SCOPED_TRACE(name + " " + std::string(name_of(how.normaliser)) + (shrinks ? ", shrinking" : ""));
    const Read each = read(name, how, false, shrinks), stepwise = read(name, how, true, shrinks);
    for (std::size_t t = 0; t < steps; ++t) {
      expect_same(stepwise.contexts[t], each.contexts[t], "context " + std::to_string(t));
      EXPECT_EQ(stepwise.kernels[t], Kernel::stepwise);
      EXPECT_NE(each.kernels[t], Kernel::stepwise);
    }
    for (std::size_t n = 0; n < each.inputs.size(); ++n)
      expect_same(stepwise.inputs[n].grad(), each.inputs[n].grad(), "gradient of " + std::to_string(n));
    expect_same(stepwise.gradients, each.gradients, "gradients of parameters");
  }

 private:
  // The weights of the first sentences: T = 1 and one head, so that they lie first.
  Tensor first_of(const Context& ctx, const Tensor& weights, std::int64_t alive) const {
    const auto last = static_cast<std::size_t>(alive - 1);
    return ops::rows(ctx, weights, 0, keys_->start[last] + keys_->count[last]);
  }
  static std::shared_ptr<const Sequences> one_each(std::int64_t alive, std::int64_t all) {
    auto queries = std::make_shared<Sequences>();
    for (std::int64_t b = 0; b < all; ++b) {
      queries->start.push_back(std::min(b, alive));
      queries->count.push_back(b < alive ? 1 : 0);
    }
    return queries;
  }

  kernels::ExecutionOwner owner_{2};
  const std::shared_ptr<const Sequences> keys_ = Sequences::packed(std::vector<std::int32_t>{0, 4, 6, 9});
};

TEST_F(AttendStepwise, IsWhatEachStepForItselfIs) {
  for (const std::string& name : score_names()) {
    check(name, {}, false);
    if (name != "location") check(name, {}, true);
  }
}

TEST_F(AttendStepwise, UnderEveryNormaliser) {
  for (const Normaliser normaliser : {Normaliser::sparsemax, Normaliser::hardmax, Normaliser::monotonic})
    for (const std::string name : {"additive", "general"}) {
      check(name, {.normaliser = normaliser}, false);
      if (normaliser != Normaliser::monotonic) check(name, {.normaliser = normaliser}, true);
    }
}

TEST_F(AttendStepwise, LocalWithDropoutAndTemperature) {
  AttendOptions how;
  how.temperature = 0.5f;
  how.local.centre = Tensor::of({3}, std::vector{1.5f, 0.0f, 2.0f});
  how.local.reach = 1;
  how.dropping = {0.4f, 9};
  check("general", how, false);
  check("additive", how, false);
}

// What follows the weights shrinks with the batch: the first sentences' results are those of a batch that
// does not.
TEST_F(AttendStepwise, LocationAndMonotonicOfABatchThatShrinks) {
  for (const auto& [name, normaliser] :
       {std::pair{"location", Normaliser::softmax}, {"additive", Normaliser::monotonic}}) {
    const Read whole = read(name, {.normaliser = normaliser}, true, false);
    const Read shrinking = read(name, {.normaliser = normaliser}, true, true);
    // Queries of a step begin alike, whatever their number.
    for (std::size_t t = 0; t < steps; ++t)
      for (std::int64_t i = 0; i < shrinking.contexts[t].elements(); ++i)
        EXPECT_EQ(shrinking.contexts[t].f32()[i], whole.contexts[t].f32()[i]) << name << " step " << t;
    for (const Tensor& input : shrinking.inputs)
      for (const float g : input.grad().values()) EXPECT_TRUE(std::isfinite(g));
  }
}

// What only the tiled kernel of dot products does is still served, if by gradients of each step.
TEST_F(AttendStepwise, SoftCapsAreTiled) {
  AttendOptions how;
  how.soft_cap = 2.0f;
  const Read each = read("dot", how, false, false), stepwise = read("dot", how, true, false);
  EXPECT_EQ(stepwise.kernels[0], Kernel::tiled_dot);
  expect_same(stepwise.inputs[0].grad(), each.inputs[0].grad(), "keys");
}

TEST_F(AttendStepwise, WithoutATapeItIsRemember) {
  Context ctx;
  kernels::ExecutionOwner owner(1);
  ctx.exec = owner.get();
  const DotScore score({1, 1, width});
  const auto keys = Sequences::packed(std::vector<std::int32_t>{0, 9});
  const Memory memory = remember_stepwise(ctx, score, {random_tensor({9, width}, 1)},
                                          {random_tensor({9, value_width}, 2)}, value_width, keys);
  EXPECT_FALSE(memory.stepwise_scores || memory.stepwise_values);
}

}  // namespace
}  // namespace fovea::attention
