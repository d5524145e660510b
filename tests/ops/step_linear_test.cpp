#include "fovea/ops/step_linear.h"

#include "fovea/ops/elementwise.h"
#include "fovea/ops/linear.h"
#include "fovea/ops/rows.h"
#include "tests/ops/gradient_check.h"

namespace fovea::ops {
namespace {

class StepLinearTest : public testing::TestWithParam<kernels::KernelSet> {
 protected:
  Context context() {
    Context ctx;
    ctx.exec = owner_.get();
    return ctx;
  }
  kernels::ExecutionOwner owner_{2, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(All, StepLinearTest, testing::ValuesIn(kernels::available_kernels()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

// h_t = tanh(W h_{t-1} + b + x_t) for rows that shrink from step to step; what the last step gives.
template <class Linear>
Tensor loop(const Context& ctx, const Linear& linear, const Tensor& h0, const Tensor& x) {
  Tensor h = h0;
  std::int64_t row = 0;
  for (const std::int64_t R : {5, 5, 3, 1}) {
    h = rows(ctx, h, 0, R);
    h = activate(ctx, linear(h, rows(ctx, x, row, row + R)), kernels::Activation::tanh);
    row += R;
  }
  return h;
}

TEST_P(StepLinearTest, H01_Gradients) {
  for (const bool bias : {true, false}) {
    std::vector<Tensor> inputs{random_tensor({5, 4}, 1), random_tensor({14, 4}, 2),
                               random_tensor({4, 4}, 3, 0.5f)};
    if (bias) inputs.push_back(random_tensor({4}, 4));
    check_gradients(
        [](const Context& ctx, const std::vector<Tensor>& in) {
          const StepLinear linear(ctx, in[2], in.size() > 3 ? in[3] : Tensor());
          return loop(
              ctx, [&](const Tensor& h, const Tensor& x) { return linear(ctx, h, x); }, in[0], in[1]);
        },
        inputs, context());
  }
}

// A product whose result nobody asks the gradient of, and steps without `onto`.
TEST_P(StepLinearTest, H01_StepsOfOneInput) {
  check_gradients(
      [](const Context& ctx, const std::vector<Tensor>& in) {
        const StepLinear linear(ctx, in[1], in[2]);
        linear(ctx, in[0]);
        return add(ctx, linear(ctx, in[0]), linear(ctx, rows(ctx, in[0], 0, 3)));
      },
      {random_tensor({3, 4}, 1), random_tensor({6, 4}, 2), random_tensor({6}, 3)}, context());
}

TEST_P(StepLinearTest, IsALinearToTheBit) {
  const Context ctx = context();
  const Tensor W = random_tensor({70, 33}, 1), b = random_tensor({70}, 2);
  const StepLinear linear(ctx, W, b);
  for (const std::int64_t R : {0, 1, 5, 60}) {
    const Tensor x = random_tensor({R, 33}, 3), y = linear(ctx, x), expected = ops::linear(ctx, x, W, b);
    EXPECT_TRUE(std::ranges::equal(y.values(), expected.values()));
  }
}

// More rows than gather at once, and a step of more than that alone: the gradient is still one product's, to
// the bit.
TEST_P(StepLinearTest, ManyRowsAreOneProduct) {
  Context ctx = context();
  Tape tape;
  ctx.tape = &tape;
  std::vector<std::vector<float>> gradients;
  const Tensor x = random_tensor({1500, 5}, 1), d_y = random_tensor({1500, 7}, 2);
  for (const bool together : {false, true}) {
    Tensor W = random_tensor({7, 5}, 3);
    require_grad(W);
    const StepLinear linear(ctx, W, {});
    std::vector<std::int64_t> steps{1500};
    if (!together) steps = {300, 200, 100, 513, 1, 386};
    std::int64_t row = 1500;  // steps come back from the last: so do rows
    for (const std::int64_t R : steps) {
      const Tensor y = linear(ctx, x.rows(row - R, row));
      give_gradient(y, d_y.rows(row - R, row).clone());
      row -= R;
    }
    tape.backward();
    gradients.emplace_back(W.grad().values().begin(), W.grad().values().end());
  }
  const bool chains =
      GetParam() != kernels::KernelSet::reference;  // which sums in double, product by product
  EXPECT_TRUE(!chains || gradients[0] == gradients[1]);
  for (std::size_t i = 0; i < gradients[0].size(); ++i) EXPECT_NEAR(gradients[0][i], gradients[1][i], 1e-4);
}

TEST_P(StepLinearTest, WeightsWithoutGradientAndInputsWithout) {
  Context ctx = context();
  Tape tape;
  ctx.tape = &tape;
  Tensor W = random_tensor({6, 4}, 1), x = random_tensor({3, 4}, 2);
  const Tensor b = random_tensor({6}, 3);
  require_grad(x);
  Tensor y = StepLinear(ctx, W, b)(ctx, x);
  give_gradient(y, Tensor::full({3, 6}, 1.0f));
  tape.backward();
  EXPECT_TRUE(x.grad().defined());
  require_grad(W);
  y = StepLinear(ctx, W, b)(ctx, random_tensor({3, 4}, 2));
  give_gradient(y, Tensor::full({3, 6}, 1.0f));
  tape.backward();
  EXPECT_TRUE(W.grad().defined());
  EXPECT_THROW(StepLinear(ctx, W, random_tensor({5}, 3)), Error);
  EXPECT_THROW(StepLinear(ctx, W, b)(ctx, random_tensor({3, 5}, 1)), Error);
  EXPECT_THROW(StepLinear(ctx, W, b)(ctx, random_tensor({3, 4}, 1), random_tensor({3, 4}, 1)), Error);
}

}  // namespace
}  // namespace fovea::ops
