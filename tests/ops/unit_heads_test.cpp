#include "fovea/ops/unit_heads.h"

#include "fovea/kernels/unit_rows.h"
#include "tests/ops/gradient_check.h"

namespace fovea::ops {
namespace {

class UnitHeads : public testing::TestWithParam<kernels::KernelSet> {
 protected:
  Context context() {
    Context ctx;
    ctx.exec = owner_.get();
    return ctx;
  }
  kernels::ExecutionOwner owner_{2, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(All, UnitHeads, testing::ValuesIn(kernels::available_kernels()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(UnitHeads, LengthsAreTheSharpness) {
  for (const std::int64_t E : {1, 3, 16, 37, 80}) {
    for (const float size : {1e-30f, 1e-12f, 1.0f, 1e18f, 3e37f}) {
      const Tensor x = random_tensor({4, 3 * E}, 5, size), sharpness = random_tensor({3}, 6, 2.0f);
      const Tensor y = unit_heads(context(), x, 3, sharpness);
      for (std::int64_t i = 0; i < 12; ++i) {
        double square = 0.0, norm = 0.0;
        for (std::int64_t e = 0; e < E; ++e) {
          square += double(y.f32()[i * E + e]) * y.f32()[i * E + e];
          norm += double(x.f32()[i * E + e]) * x.f32()[i * E + e];
        }
        EXPECT_NEAR(std::sqrt(square), std::abs(sharpness.f32()[i % 3]), 1e-5) << E << " " << size;
        for (std::int64_t e = 0; e < E; ++e)
          EXPECT_NEAR(y.f32()[i * E + e], x.f32()[i * E + e] / std::sqrt(norm) * sharpness.f32()[i % 3],
                      2e-5);
      }
    }
  }
}

TEST_P(UnitHeads, ZeroStaysZeroAndNanNan) {
  Tensor x = Tensor::zeros({2, 5});
  x.f32()[7] = std::nanf("");
  const Tensor y = unit_heads(context(), x, 1);
  for (int e = 0; e < 5; ++e) EXPECT_EQ(y.f32()[e], 0.0f);
  EXPECT_TRUE(std::isnan(y.f32()[7]));
}

TEST_P(UnitHeads, BackwardIsTheReferences) {
  const std::int64_t N = 70, H = 2;
  for (const std::int64_t E : {1, 5, 16, 33}) {
    const Tensor x = random_tensor({N, H * E}, 1), d_y = random_tensor({N, H * E}, 2),
                 s = random_tensor({H}, 3);
    const kernels::ExecutionOwner reference(1, kernels::KernelSet::reference);
    std::vector<float> y(N * H * E), lengths(N * H);
    std::vector<std::vector<float>> d_x(2, y), d_s(2, std::vector<float>(H));
    for (int i = 0; i < 2; ++i) {
      const auto& exec = i ? owner_.get() : reference.get();
      kernels::unit_rows_forward(exec, {N, H, E}, x.f32(), s.f32(), y.data(), lengths.data());
      kernels::unit_rows_backward(exec, {N, H, E}, d_y.f32(), x.f32(), s.f32(), lengths.data(), d_x[i].data(),
                                  d_s[i].data());
    }
    for (std::size_t i = 0; i < y.size(); ++i)
      EXPECT_NEAR(d_x[0][i], d_x[1][i], 1e-5 * (1 + 3 / lengths[i / E]));
    for (std::int64_t h = 0; h < H; ++h) EXPECT_NEAR(d_s[0][h], d_s[1][h], 1e-4);
  }
}

TEST_P(UnitHeads, H01_Gradients) {
  check_gradients(
      [](const Context& ctx, const std::vector<Tensor>& in) { return unit_heads(ctx, in[0], 2, in[1]); },
      {random_tensor({3, 8}, 1), random_tensor({2}, 2)}, context());
}

}  // namespace
}  // namespace fovea::ops
