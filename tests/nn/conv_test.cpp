#include "fovea/nn/conv.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/ops/gradient_check.h"

namespace fovea::nn {
namespace {

TEST(Conv2d, NamesItsParametersAndKeepsAnImagesSizeWithSame) {
  Parameters parameters;
  Builder builder(parameters);
  const Conv2d conv(builder, "f", {.in = 3, .out = 4, .kernel = 5, .options = ConvShape::same(5, 2)});
  const Conv2d bare(builder, "g", {.in = 3, .out = 1, .bias = false});
  parameters.allocate(1);
  std::vector<std::string> names;
  for (const auto& view : parameters.views()) names.push_back(view.name + view.value.shape().text());
  EXPECT_EQ(names, (std::vector<std::string>{"f.weight[4, 5, 5, 3]", "f.bias[4]", "g.weight[1, 1, 1, 3]"}));
  const kernels::ExecutionOwner owner(1);
  ops::Context ctx;
  ctx.exec = owner.get();
  const Tensor x = ops::random_tensor({2, 6, 7, 3}, 1);
  EXPECT_EQ(conv(ctx, x).shape(), (Shape{2, 6, 7, 4}));
  EXPECT_EQ(bare(ctx, x).shape(), (Shape{2, 6, 7, 1}));
}

TEST(Conv2d, ChannelsLastReordersPyTorchsWeight) {
  std::vector<float> values(2 * 3 * 2 * 2);
  std::iota(values.begin(), values.end(), 0.0f);
  const Tensor W = channels_last(Tensor::of({2, 3, 2, 2}, values));
  EXPECT_EQ(W.shape(), (Shape{2, 2, 2, 3}));
  for (std::int64_t o = 0; o < 2; ++o)
    for (std::int64_t u = 0; u < 2; ++u)
      for (std::int64_t v = 0; v < 2; ++v)
        for (std::int64_t c = 0; c < 3; ++c)
          EXPECT_EQ(W.f32()[((o * 2 + u) * 2 + v) * 3 + c], float(((o * 3 + c) * 2 + u) * 2 + v));
}

TEST(BatchNormModule, TrainsItsMomentsThenUsesThem) {
  Parameters parameters;
  Builder builder(parameters);
  const BatchNorm norm(builder, "bn", 2, {.eps = 1e-5f, .momentum = 1.0f});
  parameters.allocate(1);
  const kernels::ExecutionOwner owner(1);
  ops::Context ctx;
  ctx.exec = owner.get();
  const Tensor x = ops::random_tensor({500, 2}, 1, 4.0f);
  ctx.training = true;
  const Tensor of_batch = norm(ctx, x);
  ctx.training = false;
  const Tensor of_moments = norm(ctx, x);
  for (std::int64_t i = 0; i < x.elements(); ++i)  // 500/499 in the variance
    EXPECT_NEAR(of_batch.f32()[i], of_moments.f32()[i], 0.0015 * (1 + std::abs(of_batch.f32()[i])));
  EXPECT_GT(norm.moments().variance.f32()[0], 10.0f);
}

}  // namespace
}  // namespace fovea::nn
