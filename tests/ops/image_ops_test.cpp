#include <gtest/gtest.h>

#include "fovea/ops/batch_norm.h"
#include "fovea/ops/conv.h"
#include "fovea/ops/elementwise.h"
#include "fovea/ops/pool.h"
#include "tests/ops/gradient_check.h"

namespace fovea::ops {
namespace {

class ImageOps : public testing::Test {
 protected:
  Context context(bool training = false) {
    Context ctx;
    ctx.exec = owner_.get();
    ctx.training = training;
    return ctx;
  }
  template <class F>
  static std::string message(const F& f) {
    try {
      f();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  static void expect_says(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  kernels::ExecutionOwner owner_{2};
};

TEST_F(ImageOps, H01_GradientsOfFunctionsOfOneNumber) {
  Tensor positive = random_tensor({3, 4}, 1, 0.3f);
  for (float& x : positive.values()) x += 2.0f;
  check_gradients([](const Context& c, const std::vector<Tensor>& in) { return root(c, in[0]); }, {positive},
                  context());
  check_gradients([](const Context& c, const std::vector<Tensor>& in) { return sigmoid(c, in[0]); },
                  {random_tensor({3, 4}, 1)}, context());
  check_gradients([](const Context& c,
                     const std::vector<Tensor>& in) { return activate(c, in[0], kernels::Activation::silu); },
                  {random_tensor({3, 4}, 1)}, context());
}

TEST_F(ImageOps, H01_GradientsOfSumsAndProductsRepeated) {
  const std::vector<std::pair<Shape, Shape>> shapes{
      {{2, 3, 4}, {2, 3, 4}}, {{2, 3, 4}, {2, 1, 4}}, {{2, 3, 1}, {2, 3, 4}}, {{2, 1, 4}, {2, 3, 1}},
      {{1, 1, 4}, {2, 3, 4}}, {{2, 3, 4}, {1, 3, 4}}, {{3, 4}, {1, 4}},       {{5}, {1}}};
  for (const auto& [a, b] : shapes)
    for (const bool product : {false, true})
      check_gradients(
          [=](const Context& c, const std::vector<Tensor>& in) {
            return product ? multiply(c, in[0], in[1]) : add(c, in[0], in[1]);
          },
          {random_tensor(a, 1), random_tensor(b, 2)}, context());
  check_gradients([](const Context& c, const std::vector<Tensor>& in) { return multiply(c, in[0], in[0]); },
                  {random_tensor({3, 4}, 1)}, context());
  const Tensor y = add(context(), random_tensor({2, 1, 4}, 1), random_tensor({2, 3, 1}, 2));
  EXPECT_EQ(y.shape(), (Shape{2, 3, 4}));
  expect_says(message([&] {
                add(context(), Tensor::zeros({2, 3}), Tensor::zeros({2, 4}));
              }),
              "[2, 3] and [2, 4]");
  expect_says(message([&] {
                multiply(context(), Tensor::zeros({2, 3}), Tensor::zeros({3}));
              }),
              "[2, 3] and [3]");
}

TEST_F(ImageOps, H01_GradientsOfPooling) {
  // Far apart, so that a step of differences does not change which is largest.
  Tensor x = Tensor::empty({2, 3, 2, 5});
  for (std::int64_t i = 0; i < x.elements(); ++i) x.f32()[i] = 0.25f * float(i * 37 % 60);
  const auto of = [&](const auto& f) { check_gradients(f, {x}, context()); };
  of([](const Context& c, const std::vector<Tensor>& in) { return pool_pixels(c, in[0]).average; });
  of([](const Context& c, const std::vector<Tensor>& in) { return pool_pixels(c, in[0]).maximum; });
  of([](const Context& c, const std::vector<Tensor>& in) { return average_pixels(c, in[0]); });
  of([](const Context& c, const std::vector<Tensor>& in) { return pool_channels(c, in[0]); });
  of([](const Context& c, const std::vector<Tensor>& in) {
    const auto pools = pool_pixels(c, in[0]);
    return multiply(c, pools.average, pools.maximum);
  });
  EXPECT_EQ(pool_channels(context(), x).shape(), (Shape{2, 3, 2, 2}));
  expect_says(message([&] { pool_pixels(context(), Tensor::zeros({2, 3})); }), "[N, H, W, C]");
  expect_says(message([&] { pool_channels(context(), Tensor::zeros({2, 3, 4, 0})); }), "C = 0");
}

TEST_F(ImageOps, H01_GradientsOfConvolutions) {
  for (const ConvOptions options : {ConvOptions{}, ConvOptions{2, 1, 1}, ConvOptions{1, 2, 2}}) {
    check_gradients([=](const Context& c,
                        const std::vector<Tensor>& in) { return conv2d(c, in[0], in[1], in[2], options); },
                    {random_tensor({2, 5, 6, 3}, 1), random_tensor({4, 3, 2, 3}, 2), random_tensor({4}, 3)},
                    context());
    check_gradients(
        [=](const Context& c, const std::vector<Tensor>& in) {
          return depthwise_conv2d(c, in[0], in[1], in[2], options);
        },
        {random_tensor({2, 5, 6, 3}, 1), random_tensor({3, 2, 3}, 2), random_tensor({3}, 3)}, context());
  }
}

TEST_F(ImageOps, ConvolutionsNameShapesThatDoNotFitAndEachOptionCounts) {
  const Tensor x = random_tensor({2, 5, 6, 3}, 1), W = random_tensor({4, 3, 2, 3}, 2), b = Tensor::zeros({4});
  const auto shape = [&](const ConvOptions& options) { return conv2d(context(), x, W, b, options).shape(); };
  EXPECT_EQ(shape({}), (Shape{2, 3, 5, 4}));
  EXPECT_EQ(shape({.stride = 2}), (Shape{2, 2, 3, 4}));
  EXPECT_EQ(shape({.padding = 1}), (Shape{2, 5, 7, 4}));
  EXPECT_EQ(shape({.dilation = 2}), (Shape{2, 1, 4, 4}));
  const auto says = [&](const Tensor& with, const Tensor& bias, const ConvOptions& options,
                        const std::string& part) {
    expect_says(message([&] { conv2d(context(), x, with, bias, options); }), part);
  };
  says(random_tensor({4, 3, 2, 5}, 1), b, {}, "W [O, KH, KW, C]");
  says(W, Tensor::zeros({3}), {}, "b [O]");
  says(W, b, {.stride = 0}, "stride 0");
  says(W, b, {.padding = -1}, "padding -1");
  says(W, b, {.dilation = 3}, "larger than the padded image: x [N, H, W, C] [2, 5, 6, 3] and W [4, 3, 2, 3]");
  expect_says(message([&] { conv2d(context(), Tensor::zeros({2, 5, 3}), W, b); }), "x [N, H, W, C]");
}

TEST_F(ImageOps, H01_GradientsOfBatchNorm) {
  for (const bool training : {false, true})
    check_gradients(
        [=](const Context& c, const std::vector<Tensor>& in) {
          const RunningMoments running{random_tensor({3}, 8), Tensor::full({3}, 0.7f)};
          return batch_norm(c, in[0], in[1], in[2], running, {0.1f, 0.3f});
        },
        {random_tensor({2, 4, 3}, 1), random_tensor({3}, 2), random_tensor({3}, 3)}, context(training));
}

TEST_F(ImageOps, BatchNormMovesItsMomentsWhileTrainingOnly) {
  const Tensor x = random_tensor({10, 2}, 1, 3.0f), gamma = Tensor::full({2}, 1.0f),
               beta = Tensor::zeros({2});
  const RunningMoments running{Tensor::zeros({2}), Tensor::full({2}, 1.0f)};
  const BatchNormOptions options{.eps = 0.5f, .momentum = 0.25f};
  const Tensor y = batch_norm(context(false), x, gamma, beta, running, options);
  EXPECT_EQ(running.mean.f32()[0], 0.0f);
  EXPECT_FLOAT_EQ(y.f32()[3], x.f32()[3] / std::sqrt(1.5f));
  batch_norm(context(true), x, gamma, beta, running, options);
  for (std::int64_t c = 0; c < 2; ++c) {
    double mean = 0, variance = 0;
    for (std::int64_t m = 0; m < 10; ++m) mean += x.f32()[2 * m + c] / 10.0;
    for (std::int64_t m = 0; m < 10; ++m)
      variance += std::pow(x.f32()[2 * m + c] - mean, 2) / 9.0;  // unbiased
    EXPECT_NEAR(running.mean.f32()[c], 0.25 * mean, 1e-6);
    EXPECT_NEAR(running.variance.f32()[c], 0.75 + 0.25 * variance, 1e-5);
  }
  expect_says(message([&] { batch_norm(context(), x, Tensor::zeros({3}), beta, running); }), "[C]");
}

}  // namespace
}  // namespace fovea::ops
