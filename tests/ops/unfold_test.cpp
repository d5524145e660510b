#include "fovea/ops/unfold.h"

#include "tests/ops/gradient_check.h"

namespace fovea::ops {
namespace {

TEST(Unfold, NeighboursStayInTheirSequence) {
  const auto sequences = Sequences::packed(std::vector<std::int32_t>{0, 2, 2, 5});
  const Tensor x = Tensor::of({5}, std::vector<float>{1, 2, 3, 4, 5});
  const Tensor y = unfold({}, x, sequences, 3);
  EXPECT_EQ(std::vector<float>(y.values().begin(), y.values().end()),
            (std::vector<float>{0, 1, 2, 1, 2, 0, 0, 3, 4, 3, 4, 5, 4, 5, 0}));
  const Tensor wide = unfold({}, x, sequences, 8);  // wider than any of them
  EXPECT_EQ(std::vector<float>(wide.values().begin(), wide.values().begin() + 8),
            (std::vector<float>{0, 0, 0, 0, 1, 2, 0, 0}));
  EXPECT_THROW(unfold({}, x, sequences, 0), Error);
}

TEST(Unfold, H01_Gradients) {
  const kernels::ExecutionOwner owner(1);
  Context ctx;
  ctx.exec = owner.get();
  const auto sequences = Sequences::packed(std::vector<std::int32_t>{0, 4, 5});
  check_gradients(
      [&](const Context& c, const std::vector<Tensor>& in) { return unfold(c, in[0], sequences, 3); },
      {random_tensor({5}, 1)}, ctx);
}

}  // namespace
}  // namespace fovea::ops
