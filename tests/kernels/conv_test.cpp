#include "fovea/kernels/conv.h"

#include "fovea/kernels/reference/conv.h"
#include "tests/kernels/finite_difference.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

// Shapes in which every number differs from the others: 1x1, same, strided, dilated, uneven, wider than the
// image.
std::vector<ConvExtents> shapes() {
  return {
      {.N = 2, .H = 5, .W = 4, .C = 7, .O = 6},
      {.N = 2, .H = 6, .W = 5, .C = 3, .O = 4, .KH = 3, .KW = 3, .padding = 1},
      {.N = 3, .H = 9, .W = 7, .C = 2, .O = 1, .KH = 7, .KW = 7, .padding = 3},
      {.N = 1, .H = 11, .W = 8, .C = 5, .O = 18, .KH = 3, .KW = 2, .stride = 2, .padding = 1},
      {.N = 2, .H = 12, .W = 10, .C = 17, .O = 3, .KH = 3, .KW = 3, .padding = 4, .dilation = 4},
      {.N = 2, .H = 8, .W = 12, .C = 3, .O = 5, .KH = 4, .KW = 4, .stride = 4},
      {.N = 1, .H = 2, .W = 3, .C = 4, .O = 2, .KH = 5, .KW = 5, .stride = 3, .padding = 4, .dilation = 2},
      {.N = 2, .H = 4, .W = 4, .C = 3, .O = 2, .stride = 2}};
}

struct Operands {
  std::vector<float> x, W, bias, d_y;
};

Operands operands(const ConvExtents& e, bool depthwise) {
  const std::int64_t O = depthwise ? e.C : e.O;
  return {normals(e.N * e.H * e.W * e.C, 1), normals(depthwise ? e.patch() : O * e.patch(), 2), normals(O, 3),
          normals(e.N * e.out_height() * e.out_width() * O, 4)};
}

TEST(Conv, IsTheReferenceInEveryShape) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    for (const ConvExtents& e : shapes()) {
      for (const bool depthwise : {false, true}) {
        const Operands in = operands(e, depthwise);
        const auto x = widen(in.x), W = widen(in.W), bias = widen(in.bias), d_y = widen(in.d_y);
        std::vector<double> y(d_y.size()), d_x(x.size(), 1.0), d_W(W.size(), 2.0);
        Unaligned out(static_cast<std::int64_t>(y.size()), 1), out_x(std::vector<float>(x.size(), 1.0f), 0),
            out_W(std::vector<float>(W.size(), 2.0f), 0);
        if (depthwise) {
          reference::depthwise_forward(e, x.data(), W.data(), bias.data(), y.data());
          reference::depthwise_backward_input(e, W.data(), d_y.data(), d_x.data());
          reference::depthwise_backward_weight(e, x.data(), d_y.data(), d_W.data());
          depthwise_forward(owner.get(), e, in.x.data(), in.W.data(), in.bias.data(), out.data());
          depthwise_backward_input(owner.get(), e, in.W.data(), in.d_y.data(), out_x.data());
          depthwise_backward_weight(owner.get(), e, in.x.data(), in.d_y.data(), out_W.data());
        } else {
          reference::conv_forward(e, x.data(), W.data(), bias.data(), y.data());
          reference::conv_backward_input(e, W.data(), d_y.data(), d_x.data());
          reference::conv_backward_weight(e, x.data(), d_y.data(), d_W.data());
          conv_forward(owner.get(), e, in.x.data(), in.W.data(), in.bias.data(), out.data());
          conv_backward_input(owner.get(), e, in.W.data(), in.d_y.data(), out_x.data());
          conv_backward_weight(owner.get(), e, in.x.data(), in.d_y.data(), out_W.data());
        }
        const auto what = std::string(name_of(set)) + " kernel " + std::to_string(e.KH) + " stride " +
                          std::to_string(e.stride) + " dilation " + std::to_string(e.dilation) +
                          (depthwise ? " depthwise" : "");
        // Chains of up to 500 products of normals: errors of 500 * 2^-24 * 4 at most.
        expect_near(out.values(), y, 1e-4, what);
        expect_near(out_x.values(), d_x, 1e-4, what + " d_x");
        expect_near(out_W.values(), d_W, 1e-4, what + " d_W");
      }
    }
  }
}

TEST(Conv, ReferenceByHand) {
  // 1 x 3 image, 1 x 2 kernel, padding none: a correlation, not flipped.
  const ConvExtents e{.N = 1, .H = 1, .W = 3, .C = 1, .O = 1, .KH = 1, .KW = 2};
  const double x[] = {1, 2, 4}, W[] = {10, 1}, bias[] = {0.5};
  double y[2];
  reference::conv_forward(e, x, W, bias, y);
  EXPECT_EQ(y[0], 12.5);
  EXPECT_EQ(y[1], 24.5);
}

TEST(Conv, GradientsAreThoseOfDifferences) {
  for (const ConvExtents& e : shapes()) {
    if (e.C * e.O * e.patch() > 2000) continue;
    const Operands in = operands(e, false);
    auto x = widen(in.x), W = widen(in.W);
    const auto d_y = widen(in.d_y);
    const auto loss = [&] {
      std::vector<double> y(d_y.size());
      reference::conv_forward<double>(e, x.data(), W.data(), nullptr, y.data());
      double sum = 0;
      for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * d_y[i];
      return sum;
    };
    std::vector<double> d_x(x.size()), d_W(W.size());
    reference::conv_backward_input(e, W.data(), d_y.data(), d_x.data());
    reference::conv_backward_weight(e, x.data(), d_y.data(), d_W.data());
    expect_gradient("x", x, d_x, loss);
    expect_gradient("W", W, d_W, loss);
  }
}

// More patches than one chunk holds: the same as image by image, for any number of threads, to the bit.
TEST(Conv, ChunksThreadsAndNeighboursDoNotMatter) {
  const ConvExtents e{.N = 3, .H = 60, .W = 50, .C = 16, .O = 8, .KH = 5, .KW = 5, .padding = 2};
  const Operands in = operands(e, false);
  const auto run = [&](int threads) {
    const ExecutionOwner owner(threads);
    std::vector<std::vector<float>> out{std::vector<float>(in.d_y.size()), std::vector<float>(in.x.size()),
                                        std::vector<float>(in.W.size())};
    conv_forward(owner.get(), e, in.x.data(), in.W.data(), in.bias.data(), out[0].data());
    conv_backward_input(owner.get(), e, in.W.data(), in.d_y.data(), out[1].data());
    conv_backward_weight(owner.get(), e, in.x.data(), in.d_y.data(), out[2].data());
    return out;
  };
  const auto alone = run(1);
  for (const int threads : {2, 3}) EXPECT_EQ(run(threads), alone);
  ConvExtents one = e;
  one.N = 1;
  const ExecutionOwner owner(1);
  const std::size_t image = in.x.size() / 3, outputs = in.d_y.size() / 3;
  std::vector<float> y(outputs), d_x(image);
  conv_forward(owner.get(), one, in.x.data() + image, in.W.data(), in.bias.data(), y.data());
  conv_backward_input(owner.get(), one, in.W.data(), in.d_y.data() + outputs, d_x.data());
  EXPECT_TRUE(std::equal(y.begin(), y.end(), alone[0].begin() + static_cast<std::ptrdiff_t>(outputs)));
  EXPECT_TRUE(std::equal(d_x.begin(), d_x.end(), alone[1].begin() + static_cast<std::ptrdiff_t>(image)));
}

}  // namespace
}  // namespace fovea::kernels
