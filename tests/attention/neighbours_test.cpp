// The bits of an image or a sequence depend neither on its neighbours in the batch nor on the number of
// threads.
#include <functional>

#include "fovea/attention/pooling.h"
#include "fovea/attention/spatial.h"
#include "fovea/attention/spatial_nonlocal.h"
#include "fovea/attention/spatial_patches.h"
#include "tests/attention/module_check.h"

namespace fovea::attention {
namespace {

using namespace fovea::test;

using Module = std::function<Tensor(const ops::Context&, const Tensor&)>;

class Neighbours : public ModuleFixture {
 protected:
  static std::vector<float> run(const Module& module, const Tensor& x, int threads) {
    const kernels::ExecutionOwner own(threads);
    ops::Context ctx;
    ctx.exec = own.get();
    const Tensor y = module(ctx, x);
    return {y.values().begin(), y.values().end()};
  }
  static void expect_alone_as_in_company(const Module& module, const Tensor& x) {
    const auto all = run(module, x, 1);
    EXPECT_EQ(run(module, x, 2), all);
    EXPECT_EQ(run(module, x, 3), all);
    const std::size_t each = all.size() / static_cast<std::size_t>(x.dim(0));
    for (std::int64_t n = 0; n < x.dim(0); ++n) {
      const auto from = all.begin() + static_cast<std::ptrdiff_t>(each * static_cast<std::size_t>(n));
      const std::vector<float> expected(from, from + static_cast<std::ptrdiff_t>(each));
      EXPECT_EQ(run(module, x.rows(n, n + 1), 2), expected) << "image " << n;
    }
  }
  const Tensor x = ops::random_tensor({5, 14, 12, 40}, 1);
};

TEST_F(Neighbours, DoNotMatterToModulesOfImages) {
  const SqueezeExcitation se(builder, "se", 40);
  const Cbam cbam(builder, "cbam", 40);
  const Bam bam(builder, "bam", {.channels = 40});
  const NonLocal softmax(builder, "gaussian", {.channels = 40});
  const NonLocal dot(builder, "dot", {.channels = 40, .form = NonLocalForm::dot_product});
  const PatchEmbedding patches(builder, "patches",
                               {.channels = 40, .patch = 2, .width = 24, .grid_height = 4, .grid_width = 4});
  set(0.2f);
  for (const Module& module :
       std::vector<Module>{[&](const ops::Context&c, const Tensor&in) { return se(c, in); },
                           [&](const ops::Context&c, const Tensor&in) { return cbam(c, in); },
                           [&](const ops::Context&c, const Tensor&in) { return bam(c, in); },
                           [&](const ops::Context&c, const Tensor&in) { return softmax(c, in); },
                           [&](const ops::Context&c, const Tensor&in) { return dot(c, in); },
                           [&](const ops::Context&c, const Tensor&in) { return patches(c, in).rows; }})
    expect_alone_as_in_company(module, x);
}

TEST_F(Neighbours, DoNotMatterToPooling) {
  const WordAttention words(builder, "words", 40, 24);
  const StatisticsPooling statistics(builder, "statistics", 40, 24);
  const QueryPooling queries(builder, "queries", {.width = 40, .heads = 5, .queries = 2});
  set(0.2f);
  // Every image as a sequence of pixels.
  const auto sequences = [](const Tensor& in) {
    std::vector<std::int32_t> offsets{0};
    for (std::int64_t n = 0; n < in.dim(0); ++n) offsets.push_back(offsets.back() + 14 * 12);
    return ops::Sequences::packed(offsets);
  };
  const auto rows = [](const Tensor& in) { return in.reshape({in.dim(0) * 14 * 12, 40}); };
  for (const Module& module : std::vector<Module>{
           [&](const ops::Context&c, const Tensor&in) { return words(c, rows(in), sequences(in)); },
           [&](const ops::Context&c, const Tensor&in) {
             return statistics(c, rows(in), sequences(in)).deviation;
           },
           [&](const ops::Context&c, const Tensor&in) { return queries(c, rows(in), sequences(in)); }})
    expect_alone_as_in_company(module, x);
}

// Training by whole batches: the gradients of all parameters, bit for bit.
TEST_F(Neighbours, ThreadsDoNotMatterToGradients) {
  const Cbam cbam(builder, "cbam", 40);
  const Bam bam(builder, "bam", {.channels = 40});
  const NonLocal dot(builder, "dot", {.channels = 40, .form = NonLocalForm::dot_product});
  set(0.2f);
  const auto gradients = [&](int threads) {
    const kernels::ExecutionOwner own(threads);
    parameters.allocate_gradients();
    ops::Tape tape;
    ops::Context ctx;
    ctx.exec = own.get();
    ctx.tape = &tape;
    ctx.training = true;
    Tensor in = x.clone();
    ops::require_grad(in);
    const Tensor y = dot(ctx, bam(ctx, cbam(ctx, in)));
    ops::give_gradient(y, ops::random_tensor(y.shape(), 7));
    tape.backward();
    std::vector<float> all(in.grad().values().begin(), in.grad().values().end());
    const auto of_parameters = parameters.gradients().values();
    all.insert(all.end(), of_parameters.begin(), of_parameters.end());
    return all;
  };
  const auto alone = gradients(1);
  EXPECT_EQ(gradients(2), alone);
  EXPECT_EQ(gradients(5), alone);
}

}  // namespace
}  // namespace fovea::attention
