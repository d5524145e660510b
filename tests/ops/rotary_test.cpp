#include "fovea/ops/rotary.h"

#include <gtest/gtest.h>

#include "fovea/ops/linear.h"
#include "tests/ops/gradient_check.h"

namespace fovea::ops {
namespace {

Tensor ids(std::vector<std::int32_t> values) {
  Tensor tensor = Tensor::empty({static_cast<std::int64_t>(values.size())}, DType::i32);
  std::copy(values.begin(), values.end(), tensor.i32());
  return tensor;
}

RotaryTables random_tables(bool interleaved, std::int64_t positions = 6, std::int64_t pairs = 2) {
  return {random_tensor({positions, pairs}, 8), random_tensor({positions, pairs}, 9), interleaved};
}

Context context(const kernels::ExecutionOwner& owner) {
  Context ctx;
  ctx.exec = owner.get();
  return ctx;
}

TEST(RotaryOp, H01_Gradient) {
  const kernels::ExecutionOwner owner(2);
  for (const bool interleaved : {false, true})
    check_gradients(
        [=](const Context& ctx, const std::vector<Tensor>& in) {
          return rotary(ctx, {in[0], 3}, random_tables(interleaved), ids({0, 5, 2, 2}), {2, 5});
        },
        {random_tensor({4, 15}, 1)}, context(owner));
}

TEST(RotaryOp, H01_GradientInPlaceBetweenTwoProducts) {
  const kernels::ExecutionOwner owner(2);
  check_gradients(
      [](const Context& ctx, const std::vector<Tensor>& in) {
        const Tensor qk = linear(ctx, in[0], in[1], {});
        rotary_in_place(ctx, {qk, 1}, random_tables(false), ids({0, 5, 2, 2}), {2, 5});
        return linear(ctx, qk, in[2], {});
      },
      {random_tensor({4, 3}, 1), random_tensor({12, 3}, 2), random_tensor({6, 12}, 3)}, context(owner));
}

TEST(RotaryOp, InPlaceIsTheSameAndEveryParameterCounts) {
  const kernels::ExecutionOwner owner(2);
  const Context ctx = context(owner);
  const Tensor x = random_tensor({4, 15}, 1), position = ids({0, 5, 2, 2});
  const auto values = [&](std::int64_t first, const RotaryTables& tables, const Tensor& at,
                          RotaryHeads heads) {
    const Tensor y = rotary(ctx, {x, first}, tables, at, heads);
    return std::vector<float>(y.values().begin(), y.values().end());
  };
  const auto y = values(3, random_tables(false), position, {2, 5});
  Tensor z = x.clone();
  rotary_in_place(ctx, {z, 3}, random_tables(false), position, {2, 5});
  EXPECT_EQ(y, std::vector<float>(z.values().begin(), z.values().end()));
  EXPECT_NE(y, values(4, random_tables(false), position, {2, 5}));
  EXPECT_NE(y, values(3, random_tables(true), position, {2, 5}));
  EXPECT_NE(y, values(3, random_tables(false, 6, 1), position, {2, 5}));
  EXPECT_NE(y, values(3, random_tables(false), ids({0, 5, 2, 3}), {2, 5}));
  EXPECT_NE(y, values(3, random_tables(false), position, {1, 5}));
  EXPECT_NE(y, values(3, random_tables(false), position, {2, 4}));
}

// What `f` throws, or "" if it does not.
template <class F>
std::string message(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(RotaryOp, NamesShapesThatDoNotFitAndLeavesTheMatrixAlone) {
  const kernels::ExecutionOwner owner(1);
  const Context ctx = context(owner);
  const Tensor x = random_tensor({2, 8}, 1), before = x.clone();
  const RotaryTables tables = random_tables(false);
  const auto turn = [&](std::int64_t first, const Tensor& position, RotaryHeads heads) {
    return message([&] { rotary_in_place(ctx, {x, first}, tables, position, heads); });
  };
  EXPECT_NE(turn(1, ids({0, 1}), {2, 4}).find("2 heads (H) of width E 4 from column 1 do not fit in [2, 8]"),
            std::string::npos);
  EXPECT_NE(turn(0, ids({0, 1}), {2, 3}).find("tables turn 4 elements of heads of width E 3"),
            std::string::npos);
  EXPECT_NE(turn(0, ids({0, 6}), {2, 4}).find("row 1 stands at position 6, beyond the tables of 6 positions"),
            std::string::npos);
  EXPECT_NE(turn(0, ids({0, -1}), {2, 4}).find("position -1"), std::string::npos);
  EXPECT_NE(turn(0, ids({0}), {2, 4}).find("position [N]"), std::string::npos);
  for (std::int64_t i = 0; i < x.elements(); ++i) EXPECT_EQ(x.f32()[i], before.f32()[i]);
}

TEST(PositionsIn, CountsInEachSequenceFromItsFirst) {
  const Sequences sequences{{1, 4}, {3, 2}, {}};
  const auto of = [](const Tensor& t) { return std::vector<std::int32_t>(t.i32(), t.i32() + t.elements()); };
  EXPECT_EQ(of(positions_in(sequences, 7)), (std::vector<std::int32_t>{0, 0, 1, 2, 0, 1, 0}));
  const std::vector<std::int64_t> past{5, 9};
  EXPECT_EQ(of(positions_in(sequences, 6, past)), (std::vector<std::int32_t>{0, 5, 6, 7, 9, 10}));
  EXPECT_NE(message([&] { positions_in(sequences, 5); }).find("N = 5"), std::string::npos);
  EXPECT_NE(message([&] { positions_in(sequences, 6, std::vector<std::int64_t>{1}); }).find("B = 2"),
            std::string::npos);
}

}  // namespace
}  // namespace fovea::ops
