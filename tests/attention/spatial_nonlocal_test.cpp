#include "fovea/attention/spatial_nonlocal.h"

#include "fovea/attention/record.h"
#include "tests/attention/message.h"
#include "tests/attention/module_check.h"

namespace fovea::attention {
namespace {

using namespace fovea::test;

class NonLocalBlock : public ModuleFixture {
 protected:
  // The block pixel by pixel from the paper's equations; `weights` [N, P, P] too.
  std::vector<double> expected(const Tensor& x, bool gaussian, std::vector<double>& weights) const {
    const std::int64_t N = x.dim(0), P = x.dim(1) * x.dim(2), C = x.dim(3);
    std::vector<double> out;
    for (std::int64_t n = 0; n < N; ++n) {
      const auto project = [&](const std::string& which, std::int64_t p) {
        const float* row = x.f32() + (n * P + p) * C;
        return affine(values("nl." + which + ".weight"), values("nl." + which + ".bias"), {row, row + C});
      };
      for (std::int64_t i = 0; i < P; ++i) {
        const auto theta = project("theta", i);
        std::vector<double> w, y(theta.size());
        double sum = 0;
        for (std::int64_t j = 0; j < P; ++j) {
          const auto phi = project("phi", j);
          double f = 0;
          for (std::size_t e = 0; e < phi.size(); ++e) f += theta[e] * phi[e];
          w.push_back(gaussian ? std::exp(f) : f);
          sum += w.back();
        }
        for (std::int64_t j = 0; j < P; ++j) {
          const auto g = project("g", j);
          const double share = w[static_cast<std::size_t>(j)] / (gaussian ? sum : double(P));
          weights.push_back(share);
          for (std::size_t e = 0; e < g.size(); ++e) y[e] += share * g[e];
        }
        const auto z = affine(values("nl.out.weight"), values("nl.out.bias"), y);
        for (std::size_t c = 0; c < z.size(); ++c)
          out.push_back(z[c] + x.f32()[(n * P + i) * C + static_cast<std::int64_t>(c)]);
      }
    }
    return out;
  }
  void run(NonLocalForm form) {
    const NonLocal block(builder, "nl", {.channels = 4, .inner = 3, .form = form});
    set(0.4f);
    const Tensor x = ops::random_tensor({2, 2, 3, 4}, 1);
    Record record;
    auto ctx = context();
    ctx.recorder = &record;
    std::vector<double> weights;
    const auto y = expected(x, form == NonLocalForm::embedded_gaussian, weights);
    expect_close(block(ctx, x, "middle"), y);
    expect_close(record.weights().at("middle"), weights);
    check(
        x, [&](const ops::Context& c, const Tensor& in) { return block(c, in); }, {}, 4e-3);
  }
};

TEST_F(NonLocalBlock, EmbeddedGaussianIsItsFormula) { run(NonLocalForm::embedded_gaussian); }
TEST_F(NonLocalBlock, DotProductIsItsFormula) { run(NonLocalForm::dot_product); }

TEST_F(NonLocalBlock, BeginsAsTheIdentityAndNamesWhatDoesNotFit) {
  const NonLocal block(builder, "nl", {.channels = 6});
  parameters.allocate(1);
  EXPECT_EQ(values("nl.theta.weight").size(), 18u);  // half as wide
  const Tensor x = ops::random_tensor({2, 2, 3, 6}, 1), y = block(context(), x);
  EXPECT_EQ(y.shape(), x.shape());
  for (std::int64_t i = 0; i < x.elements(); ++i) EXPECT_EQ(y.f32()[i], x.f32()[i]);
  EXPECT_TRUE(says(message([&] { block(context(), ops::random_tensor({2, 2, 3, 5}, 1)); }), "[N, H, W, C]"));
  EXPECT_TRUE(says(message([&] { NonLocal(builder, "n", {.channels = 1}); }), "C = 1"));
}

}  // namespace
}  // namespace fovea::attention
