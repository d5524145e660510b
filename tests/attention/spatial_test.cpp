#include "fovea/attention/spatial.h"

#include "fovea/attention/record.h"
#include "fovea/kernels/reference/conv.h"
#include "tests/attention/message.h"
#include "tests/attention/module_check.h"

namespace fovea::attention {
namespace {

using namespace fovea::test;

class Spatial : public ModuleFixture {
 protected:
  // Mean and largest of channel c of image n.
  static std::pair<double, double> channel(const Tensor& x, std::int64_t n, std::int64_t c) {
    const std::int64_t P = x.dim(1) * x.dim(2), C = x.dim(3);
    double sum = 0, largest = -1e300;
    for (std::int64_t p = 0; p < P; ++p) {
      const double v = x.f32()[(n * P + p) * C + c];
      sum += v;
      largest = std::max(largest, v);
    }
    return {sum / double(P), largest};
  }
  std::vector<double> mlp(const std::string& name, const std::vector<double>& z) const {
    return affine(values(name + ".fc2.weight"), values(name + ".fc2.bias"),
                  relu(affine(values(name + ".fc1.weight"), values(name + ".fc1.bias"), z)));
  }
  const Tensor x = spread_image({2, 3, 4, 6});
};

TEST_F(Spatial, SqueezeExcitationIsItsFormula) {
  const SqueezeExcitation se(builder, "se", 6, 2);
  set(0.1f);
  EXPECT_EQ(parameters.all().front().shape, (Shape{3, 6}));
  std::vector<double> expected(static_cast<std::size_t>(x.elements())), map;
  for (std::int64_t n = 0; n < 2; ++n) {
    std::vector<double> z;
    for (std::int64_t c = 0; c < 6; ++c) z.push_back(channel(x, n, c).first);
    const auto s = mlp("se", z);
    for (std::size_t c = 0; c < 6; ++c) map.push_back(logistic(s[c]));
    for (std::int64_t p = 0; p < 12; ++p)
      for (std::int64_t c = 0; c < 6; ++c) {
        const std::int64_t i = (n * 12 + p) * 6 + c;
        expected[static_cast<std::size_t>(i)] = x.f32()[i] * map[static_cast<std::size_t>(n * 6 + c)];
      }
  }
  Record record;
  auto ctx = context();
  ctx.recorder = &record;
  const Tensor y = se(ctx, x, "stage1");
  EXPECT_EQ(y.shape(), x.shape());
  expect_close(y, expected);
  expect_close(record.weights().at("stage1.channel"), map);
  check(x, [&](const ops::Context& c, const Tensor& in) { return se(c, in); });
}

TEST_F(Spatial, CbamIsItsFormula) {
  const Cbam cbam(builder, "cbam", 6, 3, 3);
  set(0.1f);
  const auto W = values("cbam.spatial.conv.weight"), b = values("cbam.spatial.conv.bias");
  std::vector<double> expected(x.values().begin(), x.values().end()), pooled(2 * 12 * 2), maps(2 * 12);
  for (std::int64_t n = 0; n < 2; ++n) {
    std::vector<double> average, largest;
    for (std::int64_t c = 0; c < 6; ++c) {
      average.push_back(channel(x, n, c).first);
      largest.push_back(channel(x, n, c).second);
    }
    const auto a = mlp("cbam.channel", average), m = mlp("cbam.channel", largest);
    for (std::size_t p = 0; p < 12; ++p) {
      const std::size_t pixel = static_cast<std::size_t>(n) * 12 + p;
      double sum = 0, top = -1e300;
      for (std::size_t c = 0; c < 6; ++c) {
        double& value = expected[pixel * 6 + c];
        value *= logistic(a[c] + m[c]);
        sum += value;
        top = std::max(top, value);
      }
      pooled[2 * pixel] = sum / 6;
      pooled[2 * pixel + 1] = top;
    }
  }
  kernels::reference::conv_forward<double>(
      {.N = 2, .H = 3, .W = 4, .C = 2, .O = 1, .KH = 3, .KW = 3, .padding = 1}, pooled.data(), W.data(),
      b.data(), maps.data());
  for (std::size_t i = 0; i < maps.size(); ++i) {
    maps[i] = logistic(maps[i]);
    for (std::size_t c = 0; c < 6; ++c) expected[i * 6 + c] *= maps[i];
  }
  Record record;
  auto ctx = context();
  ctx.recorder = &record;
  expect_close(cbam(ctx, x, "block"), expected);
  expect_close(record.weights().at("block.spatial"), maps);
  EXPECT_EQ(record.weights().at("block.spatial").shape(), (Shape{2, 3, 4, 1}));
  EXPECT_EQ(record.weights().at("block.channel").shape(), (Shape{2, 6}));
}

TEST_F(Spatial, H01_GradientsOfChannelAttention) {
  const ChannelAttention module(builder, "m", 6, 2);
  set(0.05f);
  check(x, [&](const ops::Context& c, const Tensor& in) { return module(c, in); });
}

TEST_F(Spatial, H01_GradientsOfSpatialAttention) {
  const SpatialAttention module(builder, "m", 3);
  set(0.05f);
  check(x, [&](const ops::Context& c, const Tensor& in) { return module(c, in); });
}

TEST_F(Spatial, BamIsItsFormulaAndItsGradientsAreDifferences) {
  const Bam bam(builder, "bam", {.channels = 4, .reduction = 2, .dilation = 2});
  set(0.2f);
  const Tensor image = ops::random_tensor({2, 3, 4, 4}, 3);
  for (float& value : image.values()) value += 0.8f;
  for (std::int64_t c = 0; c < 4; ++c) {
    bam.channel_moments().mean.f32()[c] = 0.3f * float(c);
    bam.channel_moments().variance.f32()[c] = 0.5f + float(c);
  }
  bam.spatial_moments().mean.f32()[0] = 0.4f;
  bam.spatial_moments().variance.f32()[0] = 2.0f;

  std::vector<double> spatial(image.values().begin(), image.values().end());
  std::int64_t in = 4;
  for (const auto& [name, out, kernel] : std::vector<std::tuple<std::string, std::int64_t, std::int64_t>>{
           {"conv0", 2, 1}, {"conv1", 2, 3}, {"conv2", 2, 3}, {"conv3", 1, 1}}) {
    std::vector<double> next(static_cast<std::size_t>(24 * out));
    const auto W = values("bam." + name + ".weight"), b = values("bam." + name + ".bias");
    kernels::reference::conv_forward<double>({.N = 2,
                                              .H = 3,
                                              .W = 4,
                                              .C = in,
                                              .O = out,
                                              .KH = kernel,
                                              .KW = kernel,
                                              .padding = kernel - 1,
                                              .dilation = 2},
                                             spatial.data(), W.data(), b.data(), next.data());
    spatial = name == "conv3" ? next : relu(next);
    in = out;
  }
  const auto gamma = values("bam.channel_norm.weight"), beta = values("bam.channel_norm.bias");
  const double gamma_s = values("bam.spatial_norm.weight")[0], beta_s = values("bam.spatial_norm.bias")[0];
  std::vector<double> expected(static_cast<std::size_t>(image.elements()));
  for (std::int64_t n = 0; n < 2; ++n) {
    std::vector<double> z;
    for (std::int64_t c = 0; c < 4; ++c) z.push_back(channel(image, n, c).first);
    const auto M_c = mlp("bam", z);
    for (std::int64_t p = 0; p < 12; ++p)
      for (std::int64_t c = 0; c < 4; ++c) {
        const auto k = static_cast<std::size_t>(c);
        const double of_channel =
            (M_c[k] - 0.3 * double(c)) / std::sqrt(0.5 + double(c) + 1e-5) * gamma[k] + beta[k];
        const double of_place =
            (spatial[static_cast<std::size_t>(n * 12 + p)] - 0.4) / std::sqrt(2.0 + 1e-5) * gamma_s + beta_s;
        const std::int64_t i = (n * 12 + p) * 4 + c;
        expected[static_cast<std::size_t>(i)] = image.f32()[i] * (1 + logistic(of_channel + of_place));
      }
  }
  expect_close(bam(context(), image), expected);
  check(
      image, [&](const ops::Context& c, const Tensor& at) { return bam(c, at); }, {}, 5e-3);
}

TEST_F(Spatial, NamesWhatDoesNotFit) {
  EXPECT_TRUE(says(message([&] { SqueezeExcitation(builder, "se", 6, 7); }), "se: C = 6 channels"));
  EXPECT_TRUE(says(message([&] { Cbam(builder, "c", 6, 0); }), "r = 0"));
  EXPECT_TRUE(says(message([&] { SpatialAttention(builder, "s", 4); }), "kernel of 4 pixels"));
  const SqueezeExcitation se(builder, "se", 6, 2);
  set();
  EXPECT_TRUE(says(message([&] { se(context(), ops::random_tensor({2, 3, 6}, 1)); }), "[N, H, W, C]"));
  EXPECT_NE(message([&] { se(context(), ops::random_tensor({2, 3, 4, 5}, 1)); }), "");
}

}  // namespace
}  // namespace fovea::attention
