#include "fovea/ops/stepwise.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/ops/norm.h"
#include "fovea/ops/normalise.h"
#include "fovea/ops/rows.h"
#include "tests/ops/gradient_check.h"

namespace fovea::ops {
namespace {

constexpr std::int64_t heads = 2, width = 3, value_width = 4;

// Three sentences, S = 4, 1 and 3; their targets have 3, 2 and 1 words, so that 3, 2 and 1 are alive.
class Stepwise : public testing::Test {
 protected:
  Context context(Tape* tape = nullptr, int threads = 2) {
    Context ctx;
    ctx.exec = owners_[threads - 1].get();
    ctx.tape = tape;
    return ctx;
  }
  static std::shared_ptr<const Sequences> one_each(std::int64_t alive) {
    auto queries = std::make_shared<Sequences>();
    for (std::int64_t b = 0; b < alive; ++b) {
      queries->start.push_back(b);
      queries->count.push_back(1);
    }
    return queries;
  }

  kernels::ExecutionOwner owners_[3] = {kernels::ExecutionOwner(1), kernels::ExecutionOwner(2),
                                        kernels::ExecutionOwner(3)};
  const std::shared_ptr<const Sequences> keys_ = Sequences::packed(std::vector<std::int32_t>{0, 4, 5, 8});
};

// Queries of three steps, keys, v, values.
std::vector<Tensor> inputs(std::int64_t kv_heads) {
  return {random_tensor({3, heads * width}, 1), random_tensor({2, heads * width}, 2),
          random_tensor({1, heads * width}, 3), random_tensor({8, kv_heads * width}, 4),
          random_tensor({heads, width}, 5),     random_tensor({8, kv_heads * value_width}, 6)};
}

enum class Form { dot, additive };
const char* name_of(Form form) { return form == Form::dot ? "dot" : "additive"; }
std::int64_t kv_heads_of(Form form) { return form == Form::dot ? 1 : heads; }

// Contexts of three steps, stepwise or each for itself.
std::vector<Tensor> contexts(const Context& ctx, Form form, bool stepwise, const std::vector<Tensor>& in,
                             const std::shared_ptr<const Sequences>& keys,
                             const std::function<std::shared_ptr<const Sequences>(std::int64_t)>& alive) {
  const DotOptions dot{kv_heads_of(form), width, 0.7f};
  const AdditiveOptions additive{.heads = heads, .width = width};
  const MixOptions mixing{kv_heads_of(form), value_width};
  const auto scores = form == Form::dot ? stepwise_dot(ctx, {in[3]}, keys, heads, dot)
                                        : stepwise_additive(ctx, {in[3]}, in[4], keys, additive);
  const auto values = stepwise_values(ctx, {in[5]}, keys, heads, mixing);
  std::vector<Tensor> out;
  for (std::int64_t t = 0; t < 3; ++t) {
    const auto first = keys->first(3 - t), queries = alive(3 - t);
    const PairsPtr pairs = Pairs::of(queries, first, heads);
    Tensor s;
    if (stepwise)
      s = scores->scores(ctx, {in[t]}, pairs);
    else if (form == Form::dot)
      s = dot_scores(ctx, {in[t]}, {in[3]}, pairs, dot);
    else
      s = additive_scores(ctx, {in[t]}, {in[3]}, in[4], queries, first, additive);
    const Tensor w = normalise(ctx, s, pairs, {});
    out.push_back(stepwise ? values->mix(ctx, w, pairs) : mix(ctx, w, {in[5]}, pairs, mixing));
  }
  return out;
}

TEST_F(Stepwise, H01_Gradients) {
  for (const Form form : {Form::dot, Form::additive}) {
    SCOPED_TRACE(name_of(form));
    check_gradients(
        [&](const Context& ctx, const std::vector<Tensor>& in) {
          std::vector<Tensor> all = in;  // dot products have no v
          if (form == Form::dot) all.insert(all.begin() + 4, Tensor());
          const auto c = contexts(ctx, form, true, all, keys_, one_each);
          const Tensor two = add_residual(ctx, c[1], rows(ctx, c[0], 1, 3), {});
          return add_residual(ctx, c[2], rows(ctx, two, 0, 1), {});
        },
        [&] {
          auto in = inputs(kv_heads_of(form));
          if (form == Form::dot) in.erase(in.begin() + 4);
          return in;
        }(),
        context());
  }
}

TEST_F(Stepwise, IsWhatEachStepForItselfIs) {
  for (const Form form : {Form::dot, Form::additive}) {
    SCOPED_TRACE(name_of(form));
    std::vector<std::vector<Tensor>> contexts_of, inputs_of;
    for (const bool stepwise : {false, true}) {
      Tape tape;
      auto in = inputs(kv_heads_of(form));
      for (Tensor& each : in) require_grad(each);
      const auto out = contexts(context(&tape), form, stepwise, in, keys_, one_each);
      for (std::size_t t = 0; t < out.size(); ++t)
        give_gradient(out[t], random_tensor(out[t].shape(), 40 + t));
      tape.backward();
      contexts_of.push_back(out);
      inputs_of.push_back(in);
    }
    for (std::size_t t = 0; t < 3; ++t)
      for (std::int64_t i = 0; i < contexts_of[0][t].elements(); ++i)
        EXPECT_NEAR(contexts_of[0][t].f32()[i], contexts_of[1][t].f32()[i], 1e-6) << "context " << t;
    for (std::size_t n = 0; n < inputs_of[0].size(); ++n) {
      if (form == Form::dot && n == 4) continue;
      const Tensor want = inputs_of[0][n].grad(), got = inputs_of[1][n].grad();
      ASSERT_TRUE(want.defined() && got.defined()) << n;
      for (std::int64_t i = 0; i < want.elements(); ++i)
        EXPECT_NEAR(got.f32()[i], want.f32()[i], 1e-5) << "input " << n << " element " << i;
    }
  }
}

TEST_F(Stepwise, SameBitsForAnyNumberOfThreads) {
  for (const Form form : {Form::dot, Form::additive}) {
    std::vector<std::vector<float>> gradients;
    for (const int threads : {1, 2, 3}) {
      Tape tape;
      auto in = inputs(kv_heads_of(form));
      for (Tensor& each : in) require_grad(each);
      const auto out = contexts(context(&tape, threads), form, true, in, keys_, one_each);
      for (const Tensor& each : out) give_gradient(each, random_tensor(each.shape(), 40));
      tape.backward();
      std::vector<float> all;
      for (const Tensor& each : in)
        if (const Tensor d = each.grad(); d.defined())
          all.insert(all.end(), d.values().begin(), d.values().end());
      gradients.push_back(all);
    }
    EXPECT_EQ(gradients[0], gradients[1]) << name_of(form);
    EXPECT_EQ(gradients[0], gradients[2]) << name_of(form);
  }
}

TEST_F(Stepwise, WhatDoesNotLearnGetsNothing) {
  for (const Form form : {Form::dot, Form::additive}) {
    Tape tape;
    auto in = inputs(kv_heads_of(form));
    for (int t = 0; t < 3; ++t) require_grad(in[static_cast<std::size_t>(t)]);
    const auto out = contexts(context(&tape), form, true, in, keys_, one_each);
    for (const Tensor& each : out) give_gradient(each, random_tensor(each.shape(), 40));
    tape.backward();
    for (int t = 0; t < 3; ++t) EXPECT_TRUE(in[static_cast<std::size_t>(t)].grad().defined());
    EXPECT_FALSE(in[3].requires_grad() || in[5].requires_grad());
  }
}

// A step whose context nobody used sends nothing; keys of sentences that nobody asked have no gradient.
TEST_F(Stepwise, StepsThatNobodyUsed) {
  Tape tape;
  auto in = inputs(heads);
  for (Tensor& each : in) require_grad(each);
  const auto out = contexts(context(&tape), Form::additive, true, in, keys_, one_each);
  give_gradient(out[2], random_tensor(out[2].shape(), 40));
  tape.backward();
  EXPECT_FALSE(in[0].grad().defined());
  ASSERT_TRUE(in[3].grad().defined());
  for (std::int64_t i = 0; i < 8 * heads * width; ++i) {
    const bool asked = i < 4 * heads * width;
    EXPECT_EQ(in[3].grad().f32()[i] != 0.0f, asked) << i;
  }
}

TEST_F(Stepwise, WhatDoesNotFitIsNamed) {
  const auto refusal = [](const std::function<void()>& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  Tape tape;
  auto in = inputs(heads);
  for (Tensor& each : in) require_grad(each);
  const Context ctx = context(&tape);
  const auto values = stepwise_values(ctx, {in[5]}, keys_, heads, {heads, value_width});
  const auto others = Sequences::packed(std::vector<std::int32_t>{0, 3, 5});
  EXPECT_NE(refusal([&] {
              values->mix(ctx, random_tensor({10}, 1), Pairs::of(one_each(2), others, heads));
            }).find("does not look at the first of B = 3 sequences with H = 2"),
            std::string::npos);
  auto by_row = std::make_shared<Sequences>(*keys_);
  by_row->rows = {0, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_NE(refusal([&] {
              stepwise_values(ctx, {in[5]}, by_row, heads, {heads, value_width});
            }).find("by row"),
            std::string::npos);
  EXPECT_NE(refusal([&] {
              stepwise_dot(ctx, {in[3]}, keys_, heads, {heads, 2 * width, 1.0f});
            }).find("do not fit"),
            std::string::npos);
}

}  // namespace
}  // namespace fovea::ops
