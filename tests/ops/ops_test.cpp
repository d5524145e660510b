#include <gtest/gtest.h>

#include "fovea/ops/attention.h"
#include "fovea/ops/cross_entropy.h"
#include "fovea/ops/embed.h"
#include "fovea/ops/gated.h"
#include "fovea/ops/linear.h"
#include "fovea/ops/norm.h"
#include "tests/ops/gradient_check.h"

namespace fovea::ops {
namespace {

class Ops : public testing::Test {
 protected:
  Context context(bool training = false) {
    Context ctx;
    ctx.exec = owner_.get();
    ctx.training = training;
    ctx.seed = 3;
    ctx.update = 5;
    return ctx;
  }
  kernels::ExecutionOwner owner_{2};
};

using Gradients = Ops;

TEST_F(Gradients, H01_Linear) {
  using kernels::Activation;
  for (const auto activation : {Activation::identity, Activation::gelu, Activation::silu, Activation::tanh,
                                Activation::gelu_tanh, Activation::gelu_quick}) {
    for (const float dropout : {0.0f, 0.4f}) {
      SCOPED_TRACE(int(activation));
      check_gradients(
          [=](const Context& ctx, const std::vector<Tensor>& in) {
            return linear(ctx, in[0], in[1], in[2], {activation, dropout, 1001});
          },
          {random_tensor({5, 7}, 1), random_tensor({6, 7}, 2, 0.5f), random_tensor({6}, 3)}, context(true));
    }
  }
}

TEST_F(Gradients, H01_LinearWithRelu) {
  // Away from the kink: every pre-activation is at least 0.3 from zero, far more than the step moves it.
  Tensor x = Tensor::of({2, 2}, std::vector<float>{1, 0.5f, -1, 0.25f});
  Tensor W = Tensor::of({2, 2}, std::vector<float>{1, 0.2f, -0.8f, 0.4f});
  check_gradients(
      [](const Context& ctx, const std::vector<Tensor>& in) {
        return linear(ctx, in[0], in[1], in[2], {kernels::Activation::relu, 0.3f, 1001});
      },
      {x, W, Tensor::zeros({2})}, context(true));
}

TEST_F(Gradients, H01_AddNorm) {
  for (const float dropout : {0.0f, 0.3f}) {
    check_gradients(
        [=](const Context& ctx, const std::vector<Tensor>& in) {
          return add_norm(ctx, in[0], in[1], in[2], in[3], 1e-5f, {dropout, 1002});
        },
        {random_tensor({4, 9}, 1), random_tensor({4, 9}, 2), random_tensor({9}, 3), random_tensor({9}, 4)},
        context(true));
    check_gradients(
        [=](const Context& ctx, const std::vector<Tensor>& in) {
          return add_norm(ctx, in[0], {}, in[1], in[2], 1e-2f, {dropout, 1002});
        },
        {random_tensor({4, 9}, 1), random_tensor({9}, 3), random_tensor({9}, 4)}, context(true));
  }
}

TEST_F(Gradients, H01_AddRmsNorm) {
  for (const float dropout : {0.0f, 0.3f}) {
    const auto norm = [=](const Context& ctx, const std::vector<Tensor>& in) {
      return add_rms_norm(ctx, in[0], in[1], in[2], 1e-2f, {dropout, 1002});
    };
    check_gradients(norm, {random_tensor({4, 9}, 1), random_tensor({4, 9}, 2), random_tensor({9}, 3)},
                    context(true));
  }
}

TEST_F(Gradients, H01_Gated) {
  check_gradients([](const Context& ctx,
                     const std::vector<Tensor>& in) { return gated(ctx, in[0], kernels::Activation::silu); },
                  {random_tensor({4, 10}, 1)}, context(true));
}

TEST_F(Ops, GatedTellsAnOddWidth) {
  EXPECT_THROW(gated(context(), Tensor::zeros({2, 5}), kernels::Activation::silu), Error);
}

TEST_F(Gradients, H01_AddNormOfOneTensorTwice) {
  check_gradients(
      [](const Context& ctx, const std::vector<Tensor>& in) {
        return add_norm(ctx, in[0], in[0], in[1], in[2], 1e-5f, {0.3f, 1002});
      },
      {random_tensor({4, 9}, 1), random_tensor({9}, 3), random_tensor({9}, 4)}, context(true));
}

TEST_F(Gradients, H01_AddResidual) {
  check_gradients(
      [](const Context& ctx, const std::vector<Tensor>& in) {
        return add_residual(ctx, in[0], in[1], {0.3f, 1002});
      },
      {random_tensor({4, 9}, 1), random_tensor({4, 9}, 2)}, context(true));
}

TEST_F(Gradients, H01_Embed) {
  const std::vector<std::int32_t> ids{3, 0, 3, 1}, position{0, 1, 2, 0};
  check_gradients(
      [=](const Context& ctx, const std::vector<Tensor>& in) {
        return embed(ctx, ids_tensor(ids), in[0], 1.5f, ids_tensor(position), in[1], {0.2f, 1003});
      },
      {random_tensor({5, 6}, 1), random_tensor({3, 6}, 2)}, context(true));
}

TEST_F(Gradients, H01_SelfAttentionOfPackedSentences) {
  const std::vector<std::int32_t> offsets{0, 3, 4, 9};
  for (const bool causal : {false, true}) {
    check_gradients(
        [=](const Context& ctx, const std::vector<Tensor>& in) {
          const auto sentences = Sequences::packed(offsets);
          return attention(
              ctx, {in[0], 0}, {in[0], 6}, {in[0], 12}, sentences, sentences,
              {.heads = 2,
               .kv_heads = 2,
               .key_width = 3,
               .value_width = 5,
               .visible = causal ? kernels::Visibility::causal() : kernels::Visibility::everything(),
               .dropping = {0.25f, 1004},
               .place = ""});
        },
        {random_tensor({9, 22}, 1)}, context(true));
  }
}

TEST_F(Gradients, H01_CrossAttention) {
  const std::vector<std::int32_t> queries{0, 3, 5}, keys{0, 2, 6};
  check_gradients(
      [=](const Context& ctx, const std::vector<Tensor>& in) {
        return attention(ctx, {in[0], 0}, {in[1], 0}, {in[1], 8}, Sequences::packed(queries),
                         Sequences::packed(keys),
                         {.heads = 2,
                          .kv_heads = 2,
                          .key_width = 4,
                          .value_width = 4,
                          .scale = 0.7f,
                          .dropping = {},
                          .place = ""});
      },
      {random_tensor({5, 8}, 1), random_tensor({6, 16}, 2)}, context(true));
}

TEST_F(Gradients, H01_LinearCrossEntropy) {
  const std::vector<std::int32_t> targets{2, 0, 4, 4};
  for (const float smoothing : {0.0f, 0.2f}) {
    // The loss as a tensor: its gradient is made inside, for a weight of 1.
    Context ctx = context(true);
    ctx.exec.kernels = kernels::KernelSet::reference;
    std::vector<Tensor> in{random_tensor({4, 3}, 1), random_tensor({5, 3}, 2), random_tensor({5}, 3)};
    Tape tape;
    for (auto& tensor : in) require_grad(tensor);
    const auto loss = [&](Tape* recorded) {
      ctx.tape = recorded;
      return linear_cross_entropy(ctx, in[0], in[1], in[2], ids_tensor(targets), smoothing, 1.0f).loss;
    };
    loss(&tape);
    tape.backward();
    for (auto& tensor : in) {
      for (std::int64_t i = 0; i < tensor.elements(); ++i) {
        const float x = tensor.f32()[i], h = 0.02f;
        const auto at = [&](float offset) { return tensor.f32()[i] = x + offset, loss(nullptr); };
        const double numeric = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12.0 * h);
        tensor.f32()[i] = x;
        EXPECT_NEAR(tensor.grad().f32()[i], numeric, 1e-3);
      }
    }
  }
}

TEST_F(Ops, H03_LossOfNoTokensIsZero) {
  Context ctx = context(true);
  Tape tape;
  ctx.tape = &tape;
  Tensor W = random_tensor({5, 3}, 2);
  require_grad(W);
  const auto sums = linear_cross_entropy(ctx, Tensor::empty({0, 3}), W, {}, ids_tensor({}), 0.1f, 1.0f);
  EXPECT_EQ(sums.loss, 0.0);
  EXPECT_EQ(sums.tokens, 0);
}

TEST_F(Ops, ManyChunksOfTheOutputLayerGiveTheLossOfOne) {
  // 1100 rows make three chunks; each row alone gives the same loss.
  Context ctx = context();
  const Tensor x = random_tensor({1100, 8}, 1), W = random_tensor({11, 8}, 2);
  std::vector<std::int32_t> targets;
  for (int i = 0; i < 1100; ++i) targets.push_back(i % 11);
  const double whole = linear_cross_entropy(ctx, x, W, {}, ids_tensor(targets), 0.1f, 1.0f).loss;
  double sum = 0.0;
  for (int i = 0; i < 1100; ++i)
    sum += linear_cross_entropy(ctx, x.rows(i, i + 1), W, {}, ids_tensor({&targets[std::size_t(i)], 1}), 0.1f,
                                1.0f)
               .loss;
  EXPECT_DOUBLE_EQ(whole, sum);
}

TEST_F(Ops, ErrorsNameTheShapes) {
  try {
    linear(context(), random_tensor({5, 7}, 1), random_tensor({6, 8}, 2), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "linear: x [N, in]: shape is [5, 7], expected [any, 8]");
  }
}

}  // namespace
}  // namespace fovea::ops
