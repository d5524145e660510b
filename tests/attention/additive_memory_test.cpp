// How much memory additive attention takes beside its operands: never anything of [T, S, D].
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "fovea/attention/attend.h"
#include "fovea/attention/match_score.h"
#include "fovea/ops/rows.h"
#include "fovea/tensor/storage.h"
#include "tests/ops/gradient_check.h"

namespace fovea::attention {
namespace {

using ops::random_tensor;

struct Extents {
  std::int64_t T, S, D;

  double rows() const { return 4.0 * static_cast<double>((T + S) * D); }  ///< bytes of [T, D] and [S, D]
  double pairs() const { return 4.0 * static_cast<double>(T * S); }       ///< bytes of [T, S]
};

// The most memory that tensors and workers held at once for attention of one sentence, forward and backward,
// beside queries, keys, values, parameters and their gradients' places: all queries at once, or one a step.
class AdditiveMemory : public testing::Test {
 protected:
  double held(const Extents& x, bool stepwise) {
    nn::Parameters parameters;
    nn::Builder builder(parameters);
    const auto score = make_score(builder, "score",
                                  {.name = "additive", .query_width = x.D, .key_width = x.D, .width = x.D});
    parameters.allocate(7);
    parameters.allocate_gradients();
    Tensor q = random_tensor({x.T, x.D}, 1), h = random_tensor({x.S, x.D}, 2);
    ops::require_grad(q);
    ops::require_grad(h);
    const Tensor d_context = random_tensor({x.T, x.D}, 3);
    const kernels::ExecutionOwner owner(2);
    release_cached_storage();
    const double before = tensor_bytes();
    ops::Tape tape;
    ops::Context ctx;
    ctx.exec = owner.get();
    ctx.tape = &tape;
    const Tensor context = stepwise ? by_steps(ctx, *score, q, h) : at_once(ctx, *score, q, h);
    ops::give_gradient(context, d_context);
    tape.backward();
    EXPECT_TRUE(q.grad().defined() && h.grad().defined());
    return tensor_bytes() - before + static_cast<double>(owner.get().workspace->bytes(0)) +
           static_cast<double>(owner.get().workspace->bytes(1));
  }

  void report(const std::string& name, double bytes) {
    RecordProperty(name, std::to_string(bytes / 1e6) + " MB");
  }

 private:
  // Blocks that came back are kept, so what is held in the end is the most there was.
  static double tensor_bytes() {
    const auto now = storage_statistics();
    return static_cast<double>(now.in_use + now.cached);
  }
  static std::shared_ptr<const Sequences> one_sequence(std::int64_t rows) {
    return Sequences::packed(std::vector<std::int32_t>{0, static_cast<std::int32_t>(rows)});
  }
  static Tensor at_once(const ops::Context& ctx, const Score& score, const Tensor& q, const Tensor& h) {
    const Memory memory = remember(ctx, score, {h}, {h}, h.dim(1), one_sequence(h.dim(0)));
    const Attended attended = attend(ctx, score, {q}, one_sequence(q.dim(0)), memory);
    EXPECT_EQ(attended.kernel, Kernel::tiled_additive);
    return attended.context;
  }
  static Tensor by_steps(const ops::Context& ctx, const Score& score, const Tensor& q, const Tensor& h) {
    const Memory memory = remember_stepwise(ctx, score, {h}, {h}, h.dim(1), one_sequence(h.dim(0)));
    std::vector<Tensor> contexts;
    for (std::int64_t t = 0; t < q.dim(0); ++t) {
      const Attended attended = attend(ctx, score, {ops::rows(ctx, q, t, t + 1)}, one_sequence(1), memory);
      EXPECT_EQ(attended.kernel, Kernel::stepwise);
      contexts.push_back(attended.context);
    }
    return ops::stack(ctx, contexts);
  }
};

// Kept are projected queries and keys, contexts and a number a query; gradients are as large again.
TEST_F(AdditiveMemory, AtOnceIsLinearInTheLength) {
  const Extents half{512, 512, 512}, whole{1024, 1024, 512};
  const double small = held(half, false), large = held(whole, false);
  report("T = S = 512", small);
  report("T = S = 1024", large);
  EXPECT_LE(large, 2.1 * small);
  EXPECT_LE(large, 5.0 * whole.rows());
}

// A step's weights must wait for the gradient of its context: [T, S] over all steps, a few times over with
// their own gradients. With D only what is of [T, D] and [S, D] grows.
TEST_F(AdditiveMemory, ByStepsKeepsPairsAndRows) {
  const Extents narrow{1024, 1024, 256}, whole{1024, 1024, 512}, half{512, 512, 512};
  const double large = held(whole, true);
  report("T = S = 512", held(half, true));
  report("T = S = 1024", large);
  EXPECT_LE(large, 5.0 * whole.pairs() + 7.0 * whole.rows());
  EXPECT_LE(large - held(narrow, true), 8.0 * (whole.rows() - narrow.rows()));
}

}  // namespace
}  // namespace fovea::attention
