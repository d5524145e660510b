#include "fovea/ops/recurrent.h"

#include <numeric>

#include "fovea/ops/dropout.h"
#include "fovea/ops/elementwise.h"
#include "tests/ops/gradient_check.h"

namespace fovea::ops {
namespace {

std::shared_ptr<const Sequences> packed(const std::vector<std::int64_t>& counts) {
  std::vector<std::int32_t> offsets{0};
  for (const std::int64_t count : counts)
    offsets.push_back(offsets.back() + static_cast<std::int32_t>(count));
  return Sequences::packed(offsets);
}

// All that a layer gives, in one matrix: sums of gradients of all at once.
Tensor joined(const Context& ctx, const RecurrentOutput& out) {
  const bool lstm = out.last.c.defined();
  const std::int64_t N = out.h_NC.dim(0), B = out.last.h.dim(0), C = out.h_NC.dim(1);
  Tensor all = Tensor::zeros({N + 2 * B, C});
  std::copy_n(out.h_NC.f32(), N * C, all.f32());
  std::copy_n(out.last.h.f32(), B * C, all.f32() + N * C);
  if (lstm) std::copy_n(out.last.c.f32(), B * C, all.f32() + (N + B) * C);
  if (!ctx.tape) return all;
  require_grad(all);
  ctx.tape->record([out, all, N, B, lstm] {
    const Tensor d = arrived_gradient(all);
    give_gradient(out.h_NC, d.rows(0, N).clone());
    give_gradient(out.last.h, d.rows(N, N + B).clone());
    if (lstm) give_gradient(out.last.c, d.rows(N + B, N + 2 * B).clone());
  });
  return all;
}

class Recurrent : public testing::TestWithParam<kernels::KernelSet> {
 protected:
  Context context() {
    Context ctx;
    ctx.exec = owner_.get();
    return ctx;
  }
  kernels::ExecutionOwner owner_{2, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(All, Recurrent, testing::ValuesIn(kernels::available_kernels()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(Recurrent, H01_GradientsOfALayer) {
  const auto sequences = packed({3, 0, 1, 4});
  const std::int64_t H = 3;
  for (const auto cell : {Recurrence::gru, Recurrence::lstm})
    for (const auto order : {TimeOrder::forward, TimeOrder::backward, TimeOrder::both})
      for (const float p : {0.0f, 0.4f}) {
        const std::int64_t D = order == TimeOrder::both ? 2 : 1, rows = D * kernels::gates_of(cell) * H;
        Context ctx = context();
        ctx.training = true;
        ctx.seed = 5;
        std::vector<Tensor> inputs{random_tensor({8, rows}, 1), random_tensor({rows, H}, 2, 0.6f),
                                   random_tensor({rows}, 3), random_tensor({4, D * H}, 4)};
        if (cell == Recurrence::lstm) inputs.push_back(random_tensor({4, D * H}, 5));
        check_gradients(
            [&](const Context& c, const std::vector<Tensor>& in) {
              const RecurrentState first{in[3], in.size() > 4 ? in[4] : Tensor()};
              return joined(c, recurrent_layer(c, in[0], in[1], in[2], first, sequences,
                                               {.cell = cell, .order = order, .state_dropping = {p, 77}}));
            },
            inputs, ctx);
      }
}

TEST_P(Recurrent, H01_GradientsOfAStep) {
  const std::int64_t R = 3, H = 5;
  check_gradients(
      [](const Context& c, const std::vector<Tensor>& in) { return gru_cell(c, in[0], in[1], in[2]); },
      {random_tensor({R, 3 * H}, 1), random_tensor({R, 3 * H}, 2), random_tensor({R, H}, 3)}, context());
  for (const bool of_c : {false, true})
    check_gradients(
        [of_c](const Context& c, const std::vector<Tensor>& in) {
          const RecurrentState next = lstm_cell(c, in[0], in[1], in[2]);
          return of_c ? next.c : next.h;
        },
        {random_tensor({R, 4 * H}, of_c ? 5 : 1), random_tensor({R, 4 * H}, 2), random_tensor({R, H}, 3)},
        context());
}

TEST_P(Recurrent, ASpentProjectionGivesTheSameGradients) {
  const auto sequences = packed({3, 5});
  std::vector<std::vector<float>> found;
  for (const bool spent : {false, true}) {
    Context ctx = context();
    Tape tape;
    ctx.tape = &tape;
    std::vector<Tensor> in{random_tensor({8, 30}, 1), random_tensor({30, 5}, 2)};
    for (Tensor& tensor : in) require_grad(tensor);
    const Tensor projection = activate(ctx, in[0], kernels::Activation::identity);
    const auto out = recurrent_layer(ctx, projection, in[1], {}, {}, sequences,
                                     {.order = TimeOrder::both, .projection_is_spent = spent});
    give_gradient(out.h_NC, random_tensor({8, 10}, 3));
    tape.backward();
    for (const Tensor& tensor : in)
      found.emplace_back(tensor.grad().values().begin(), tensor.grad().values().end());
  }
  EXPECT_EQ(found[0], found[2]);
  EXPECT_EQ(found[1], found[3]);
}

TEST_P(Recurrent, ShapesThatDisagreeAreRefused) {
  const Context ctx = context();
  const auto sequences = packed({3, 5});
  const Tensor W = random_tensor({12, 4}, 1), x = random_tensor({8, 12}, 2);
  EXPECT_NO_THROW(recurrent_layer(ctx, x, W, {}, {}, sequences));
  EXPECT_THROW(recurrent_layer(ctx, x, W, {}, {}, sequences, {.cell = Recurrence::lstm}), Error);
  EXPECT_THROW(recurrent_layer(ctx, x, W, {}, {}, sequences, {.order = TimeOrder::both}), Error);
  EXPECT_THROW(recurrent_layer(ctx, x, W, {}, {}, packed({3, 4})), Error);
  EXPECT_THROW(recurrent_layer(ctx, x, W, {}, {random_tensor({2, 5}, 3), {}}, sequences), Error);
  EXPECT_THROW(recurrent_layer(ctx, x, W, random_tensor({13}, 3), {}, sequences), Error);
  auto gap = *sequences;
  gap.start[1] = 4;
  EXPECT_THROW(recurrent_layer(ctx, x, W, {}, {}, std::make_shared<Sequences>(gap)), Error);
  EXPECT_THROW(gru_cell(ctx, x, random_tensor({8, 9}, 1), random_tensor({8, 4}, 1)), Error);
}

TEST_P(Recurrent, SequenceDropoutKeepsItsColumnsOverTime) {
  Context ctx = context();
  const auto sequences = packed({4, 0, 1, 6});
  const Tensor x = Tensor::full({11, 200}, 1.0f);
  EXPECT_EQ(sequence_dropout(ctx, x, sequences, {0.5f, 9}).raw(), x.raw());
  ctx.training = true;
  const Tensor y = sequence_dropout(ctx, x, sequences, {0.5f, 9});
  int dropped = 0, different = 0;
  for (std::int64_t c = 0; c < 200; ++c) {
    for (std::int64_t n = 1; n < 4; ++n) EXPECT_EQ(y.f32()[c], y.f32()[n * 200 + c]);
    for (std::int64_t n = 6; n < 11; ++n) EXPECT_EQ(y.f32()[5 * 200 + c], y.f32()[n * 200 + c]);
    EXPECT_TRUE(y.f32()[c] == 0.0f || y.f32()[c] == 2.0f);
    dropped += y.f32()[c] == 0.0f;
    different += y.f32()[c] != y.f32()[5 * 200 + c];
  }
  EXPECT_NEAR(dropped, 100, 30);
  EXPECT_NEAR(different, 100, 30);
  check_gradients(
      [&](const Context& c, const std::vector<Tensor>& in) {
        return dropout(c, sequence_dropout(c, in[0], sequences, {0.3f, 9}), {0.3f, 10});
      },
      {random_tensor({11, 3}, 1)}, ctx);
}

}  // namespace
}  // namespace fovea::ops
