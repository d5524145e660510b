#include "fovea/attention/spatial_patches.h"

#include "tests/attention/message.h"
#include "tests/attention/module_check.h"

namespace fovea::attention {
namespace {

using namespace fovea::test;

class Patches : public ModuleFixture {};

TEST_F(Patches, AreProductsOfTheirPixelsBesideTheClassToken) {
  for (const bool with_class : {true, false}) {
    nn::Parameters own;
    nn::Builder into(own);
    const PatchEmbedding patches(into, "v",
                                 {.channels = 3,
                                  .patch = 2,
                                  .width = 5,
                                  .grid_height = 2,
                                  .grid_width = 3,
                                  .class_token = with_class});
    own.allocate(3);
    const Tensor x = ops::random_tensor({2, 4, 6, 3}, 1);
    const auto made = patches(context(), x);
    const std::int64_t first = with_class, count = 6 + first;
    const Tensor W = own.all()[0].value, b = own.all()[1].value, positions = own.all().back().value;
    EXPECT_EQ(made.rows.shape(), (Shape{2 * count, 5}));
    EXPECT_EQ(made.sequences->start, (std::vector<std::int64_t>{0, count}));
    EXPECT_EQ(made.sequences->count, (std::vector<std::int64_t>{count, count}));
    std::vector<double> expected;
    for (std::int64_t n = 0; n < 2; ++n)
      for (std::int64_t t = 0; t < count; ++t)
        for (std::int64_t d = 0; d < 5; ++d) {
          double sum = t < first ? own.all()[2].value.f32()[d] : b.f32()[d];
          const std::int64_t row = (t - first) / 3, column = (t - first) % 3;
          for (std::int64_t k = 0; k < 12 && t >= first; ++k) {
            const std::int64_t u = k / 6, v = k / 3 % 2, c = k % 3;
            sum +=
                double(W.f32()[d * 12 + k]) * x.f32()[((n * 4 + 2 * row + u) * 6 + 2 * column + v) * 3 + c];
          }
          expected.push_back(sum + positions.f32()[t * 5 + d]);
        }
    expect_close(made.rows, expected);
  }
}

TEST_F(Patches, PositionsAreInterpolatedCornerOnCorner) {
  // A plane over the grid is kept exactly by bilinear interpolation.
  Tensor table = Tensor::empty({1 + 3 * 4, 2});
  const auto plane = [](double y, double x, std::int64_t d) { return d ? 1 - 2 * y : 3 * y + 10 * x; };
  table.f32()[0] = 77, table.f32()[1] = 78;
  for (std::int64_t i = 0; i < 12; ++i)
    for (std::int64_t d = 0; d < 2; ++d)
      table.f32()[2 + 2 * i + d] = float(plane(double(i / 4) / 2, double(i % 4) / 3, d));
  const Tensor y = resample_positions(context(), table, 1, 3, 4, 5, 9);
  ASSERT_EQ(y.shape(), (Shape{46, 2}));
  EXPECT_EQ(y.f32()[0], 77);
  EXPECT_EQ(y.f32()[1], 78);
  for (std::int64_t i = 0; i < 45; ++i)
    for (std::int64_t d = 0; d < 2; ++d)
      EXPECT_NEAR(y.f32()[2 + 2 * i + d], plane(double(i / 9) / 4, double(i % 9) / 8, d), 1e-5);
  const Tensor same = resample_positions(context(), table, 1, 3, 4, 3, 4);
  EXPECT_EQ(same.raw(), table.raw());
  const Tensor one = resample_positions(context(), table, 1, 3, 4, 1, 1);
  EXPECT_EQ(one.f32()[2], table.f32()[2]);
  ops::check_gradients(
      [](const ops::Context& c, const std::vector<Tensor>& in) {
        return resample_positions(c, in[0], 1, 3, 4, 2, 7);
      },
      {table}, context());
}

TEST_F(Patches, H01_GradientsOnTheLearnedAndOnAnotherGrid) {
  const PatchEmbedding patches(builder, "v",
                               {.channels = 2, .patch = 2, .width = 3, .grid_height = 2, .grid_width = 2});
  set();
  for (const std::int64_t width : {4, 6})
    check(ops::random_tensor({2, 4, width, 2}, 1),
          [&](const ops::Context& c, const Tensor& in) { return patches(c, in).rows; });
}

TEST_F(Patches, NameImagesThatDoNotDivide) {
  const PatchEmbedding patches(builder, "v",
                               {.channels = 3, .patch = 4, .width = 5, .grid_height = 2, .grid_width = 2});
  set();
  const auto of = [&](Shape shape) { return message([&] { patches(context(), Tensor::zeros(shape)); }); };
  EXPECT_TRUE(says(of({1, 9, 8, 3}), "H = 9 and W = 8 pixels do not divide into patches of 4"));
  EXPECT_TRUE(says(of({1, 0, 8, 3}), "H = 0"));
  EXPECT_TRUE(says(of({1, 8, 8, 1}), "[N, H, W, C]"));
  EXPECT_EQ(of({0, 8, 8, 3}), "");
  EXPECT_TRUE(says(message([&] { PatchEmbedding(builder, "w", {.patch = 4, .width = 0}); }), "D = 0"));
}

}  // namespace
}  // namespace fovea::attention
