#include "fovea/nn/recurrent.h"

#include "fovea/formats/safetensors.h"
#include "fovea/ops/rows.h"
#include "tests/ops/gradient_check.h"

namespace fovea::nn {
namespace {

using ops::random_tensor;

std::shared_ptr<const ops::Sequences> packed(const std::vector<std::int32_t>& counts) {
  std::vector<std::int32_t> offsets{0};
  for (const std::int32_t count : counts) offsets.push_back(offsets.back() + count);
  return ops::Sequences::packed(offsets);
}

// Modules of torch.nn.GRU and LSTM, saved by benchmarks/peers/recurrent_fixture.py.
class TorchRecurrent : public testing::TestWithParam<kernels::KernelSet> {
 protected:
  Tensor saved(const std::string& name) const { return file_.read(name_ + "." + name); }
  bool has(const std::string& name) const {
    return std::ranges::count(file_.tensors(), name_ + "." + name, &formats::TensorInfo::name) > 0;
  }
  // Of each layer [B, D*H], or empty.
  std::vector<Tensor> states(const std::string& name) const {
    if (!has(name)) return {};
    const Tensor all = saved(name);
    std::vector<Tensor> states;
    for (std::int64_t layer = 0; layer < all.dim(0); ++layer)
      states.push_back(all.rows(layer, layer + 1).reshape({all.dim(1), all.dim(2)}).clone());
    return states;
  }
  static void expect_near(const Tensor& got, const Tensor& want, const std::string& what) {
    ASSERT_TRUE(got.defined()) << what;
    ASSERT_EQ(got.elements(), want.elements()) << what;
    for (std::int64_t i = 0; i < got.elements(); ++i) {
      const float w = want.f32()[i];
      ASSERT_NEAR(got.f32()[i], w, 1e-5 * (1 + std::abs(w))) << what << " " << i;
    }
  }

  void check(const std::string& name, const RecurrentOptions& options) {
    name_ = name;
    Parameters parameters;
    Builder builder(parameters);
    const Recurrent module(builder, "", options);
    parameters.allocate(1);
    parameters.allocate_gradients();
    for (const auto& view : parameters.views()) {
      const Tensor weight = saved("parameter." + view.name);
      ASSERT_EQ(weight.shape().text(), view.value.shape().text()) << view.name;
      std::copy_n(weight.f32(), weight.elements(), view.value.f32());
    }
    const kernels::ExecutionOwner owner(2, GetParam());
    ops::Tape tape;
    ops::Context ctx;
    ctx.exec = owner.get();
    ctx.tape = &tape;
    Tensor x = saved("x");
    ops::require_grad(x);
    const std::vector<Tensor> h = states("first_h"), c = states("first_c");
    std::vector<RecurrentState> first(h.size());
    for (std::size_t i = 0; i < h.size(); ++i) {
      first[i] = {h[i], c.empty() ? Tensor() : c[i]};
      ops::require_grad(first[i].h);
      if (!c.empty()) ops::require_grad(first[i].c);
    }
    const auto out = module(ctx, x, packed({4, 1, 6, 6, 2}), first);
    expect_near(out.h_NC, saved("out"), "out");
    const auto last_h = states("last_h"), last_c = states("last_c"), d_h = states("d_last_h"),
               d_c = states("d_last_c");
    for (std::size_t i = 0; i < last_h.size(); ++i) {
      expect_near(out.last[i].h, last_h[i], "last h");
      ops::give_gradient(out.last[i].h, d_h[i]);
      if (last_c.empty()) continue;
      expect_near(out.last[i].c, last_c[i], "last c");
      ops::give_gradient(out.last[i].c, d_c[i]);
    }
    ops::give_gradient(out.h_NC, saved("d_out").clone());
    tape.backward();
    expect_near(x.grad(), saved("d_x"), "d_x");
    const auto d_first_h = states("d_first_h"), d_first_c = states("d_first_c");
    for (std::size_t i = 0; i < first.size(); ++i) {
      expect_near(first[i].h.grad(), d_first_h[i], "d_first h");
      if (!c.empty()) expect_near(first[i].c.grad(), d_first_c[i], "d_first c");
    }
    for (const auto& parameter : parameters.all()) {
      std::int64_t row = 0;
      const auto parts = parameter.parts.empty()
                             ? std::vector<NamedRows>{{parameter.name, parameter.shape[0]}}
                             : parameter.parts;
      for (const auto& part : parts) {
        expect_near(parameter.value.grad().rows(row, row + part.rows), saved("d_parameter." + part.name),
                    part.name);
        row += part.rows;
      }
    }
  }

 private:
  formats::SafetensorsFile file_ =
      formats::SafetensorsFile::open(FOVEA_SOURCE_DIR "/tests/nn/torch_recurrent.safetensors");
  std::string name_;
};
INSTANTIATE_TEST_SUITE_P(All, TorchRecurrent, testing::ValuesIn(kernels::available_kernels()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(TorchRecurrent, TwoLayersOfGruBothWays) {
  check("gru", {.input = 5, .hidden = 7, .layers = 2, .bidirectional = true});
}
TEST_P(TorchRecurrent, TwoLayersOfLstmBothWays) {
  check("lstm", {.cell = Recurrence::lstm, .input = 5, .hidden = 7, .layers = 2, .bidirectional = true});
}
TEST_P(TorchRecurrent, GruForward) { check("gru_forward", {.input = 3, .hidden = 18}); }
TEST_P(TorchRecurrent, LstmForward) {
  check("lstm_forward", {.cell = Recurrence::lstm, .input = 3, .hidden = 18});
}

// A model with its parameters, and a context to run it in.
struct Fixture {
  Parameters parameters;
  Builder builder{parameters};
  kernels::ExecutionOwner owner{2};
  ops::Context ctx;
  void ready() {
    parameters.allocate(3);
    parameters.allocate_gradients();
    ctx.exec = owner.get();
    ctx.seed = 4;
  }
};

TEST(Recurrent, NamesAreTorchs) {
  Fixture f;
  const Recurrent module(f.builder, "encoder", {.input = 5, .hidden = 4, .layers = 2, .bidirectional = true});
  f.ready();
  std::vector<std::string> names;
  for (const auto& view : f.parameters.views()) names.push_back(view.name);
  const std::vector<std::string> expected{
      "encoder.weight_ih_l0",         "encoder.weight_ih_l0_reverse", "encoder.weight_hh_l0",
      "encoder.weight_hh_l0_reverse", "encoder.bias_ih_l0",           "encoder.bias_ih_l0_reverse",
      "encoder.bias_hh_l0",           "encoder.bias_hh_l0_reverse",   "encoder.weight_ih_l1",
      "encoder.weight_ih_l1_reverse", "encoder.weight_hh_l1",         "encoder.weight_hh_l1_reverse",
      "encoder.bias_ih_l1",           "encoder.bias_ih_l1_reverse",   "encoder.bias_hh_l1",
      "encoder.bias_hh_l1_reverse"};
  EXPECT_EQ(names, expected);
  EXPECT_EQ(f.parameters.all()[4].shape.text(), Shape({24, 8}).text());
}

TEST(Recurrent, HiddenWeightsBeginOrthogonal) {
  for (const std::int64_t H : {1, 2, 5, 64}) {
    Fixture f;
    const Recurrent module(f.builder, "",
                           {.cell = Recurrence::lstm, .input = 3, .hidden = H, .bidirectional = true});
    f.ready();
    const Tensor W = f.parameters.all()[1].value;
    double off_diagonal = 0;
    for (std::int64_t gate = 0; gate < 8; ++gate)
      for (std::int64_t a = 0; a < H; ++a)
        for (std::int64_t b = 0; b < H; ++b) {
          double dot = 0;
          for (std::int64_t j = 0; j < H; ++j)
            dot += double(W.f32()[(gate * H + a) * H + j]) * W.f32()[(gate * H + b) * H + j];
          ASSERT_NEAR(dot, a == b ? 1.0 : 0.0, 1e-5) << H;
          if (a != b) off_diagonal += std::abs(W.f32()[(gate * H + a) * H + b]);
        }
    // Nothing is left of the identity where it began: E|x| = sqrt(2 / (pi H)).
    if (H < 64) continue;
    EXPECT_NEAR(off_diagonal / (8.0 * H * (H - 1)), std::sqrt(2 / (3.14159 * H)), 0.01);
  }
}

TEST(Recurrent, ForgetGatesBeginOpen) {
  Fixture f;
  const Recurrent module(
      f.builder, "",
      {.cell = Recurrence::lstm, .input = 3, .hidden = 2, .bidirectional = true, .forget_bias = 1});
  f.ready();
  const auto bias = f.parameters.all()[2].value.values();
  const std::vector<float> expected{0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0};
  EXPECT_TRUE(std::ranges::equal(bias, expected));
}

TEST(Recurrent, WhatMakesNoLayerIsRefused) {
  Fixture f;
  EXPECT_THROW(Recurrent(f.builder, "", {.input = 0, .hidden = 2}), Error);
  EXPECT_THROW(Recurrent(f.builder, "", {.input = 1, .hidden = 2, .layers = 0}), Error);
  EXPECT_THROW(RecurrentCell(f.builder, "", {.input = 1, .hidden = 2, .layers = 2}), Error);
  EXPECT_THROW(RecurrentCell(f.builder, "", {.input = 1, .hidden = 2, .bidirectional = true}), Error);
}

TEST(Recurrent, DropoutIsOffWithoutTrainingAndDrawsAnewEachUpdate) {
  for (const bool variational : {false, true}) {
    Fixture f;
    const Recurrent module(f.builder, "",
                           {.input = 6,
                            .hidden = 8,
                            .layers = 2,
                            .dropout = 0.3f,
                            .variational = variational,
                            .state_dropout = 0.3f});
    f.ready();
    const Tensor x = random_tensor({7, 6}, 1);
    const auto run = [&](bool training, std::uint32_t update) {
      f.ctx.training = training;
      f.ctx.update = update;
      const Tensor h = module(f.ctx, x, packed({4, 3})).h_NC;
      return std::vector<float>(h.values().begin(), h.values().end());
    };
    EXPECT_EQ(run(false, 1), run(false, 2));
    EXPECT_EQ(run(true, 1), run(true, 1));
    EXPECT_NE(run(true, 1), run(true, 2));
    EXPECT_NE(run(true, 1), run(false, 1));
  }
}

// Batches of other lengths each time; after a first round nothing more is asked of the system.
TEST(Recurrent, SteadyTrainingAllocatesNothing) {
  Fixture f;
  const Recurrent module(f.builder, "",
                         {.cell = Recurrence::lstm,
                          .input = 30,
                          .hidden = 24,
                          .layers = 2,
                          .bidirectional = true,
                          .dropout = 0.2f,
                          .variational = true,
                          .state_dropout = 0.2f});
  const RecurrentCell cell(f.builder, "decoder", {.input = 30, .hidden = 48}, 48);
  f.ready();
  f.ctx.training = true;
  const auto update = [&](std::int32_t longest) {
    ops::Tape tape;
    f.ctx.tape = &tape;
    Tensor x = random_tensor({2 * longest + 1, 30}, 1);
    ops::require_grad(x);
    const auto out = module(f.ctx, x, packed({longest, 1, longest}));
    RecurrentState state{out.last.back().h, {}};
    const RecurrentCell::Loop loop(f.ctx, cell, 3);
    const Tensor projection = cell.project(f.ctx, x);
    for (std::int64_t t = 0; t < 2; ++t)
      state = loop.step(f.ctx, ops::rows(f.ctx, projection, 3 * t, 3 * t + 3), state, out.last.back().h);
    ops::give_gradient(state.h, Tensor::full(state.h.shape(), 1.0f));
    tape.backward();
  };
  for (const std::int32_t longest : {20, 18, 19}) update(longest);
  const auto allocations = storage_statistics().system_allocations;
  const std::size_t scratch = f.owner.get().workspace->bytes(0);
  for (const std::int32_t longest : {19, 20, 18, 20}) update(longest);
  EXPECT_EQ(storage_statistics().system_allocations, allocations);
  EXPECT_EQ(f.owner.get().workspace->bytes(0), scratch);
}

// All steps at once and one by one: outputs to the bit, gradients up to the order of their sums.
TEST(RecurrentCell, StepByStepIsTheWhole) {
  const std::vector<std::int32_t> counts{5, 5, 3, 1};  // longest first
  const auto sequences = packed(counts);
  for (const auto kind : {Recurrence::gru, Recurrence::lstm})
    for (const float dropout : {0.0f, 0.4f}) {
      Fixture f;
      const RecurrentCell cell(f.builder, "",
                               {.cell = kind, .input = 6, .hidden = 9, .state_dropout = dropout});
      f.ready();
      f.ctx.training = true;
      ops::Tape tape;
      f.ctx.tape = &tape;
      Tensor x = random_tensor({14, 6}, 1), h0 = random_tensor({4, 9}, 2);
      const Tensor d_h = random_tensor({14, 9}, 3);
      const Tensor c0 = kind == Recurrence::lstm ? random_tensor({4, 9}, 5) : Tensor();
      std::vector<std::vector<float>> found[2];
      const auto keep = [&](int way, const Tensor& tensor) {
        found[way].emplace_back(tensor.values().begin(), tensor.values().end());
      };
      for (const int way : {0, 1}) {
        f.parameters.zero_gradients();
        ops::require_grad(x);
        ops::require_grad(h0);
        const Tensor projection = cell.project(f.ctx, x);
        Tensor out = Tensor::zeros({14, 9});
        if (way == 0) {
          const auto made = cell.whole(f.ctx, projection, {h0, c0}, sequences);
          out = made.h_NC;
          ops::give_gradient(made.h_NC, d_h.clone());
        } else {
          const RecurrentCell::Loop loop(f.ctx, cell, 4);
          RecurrentState state{h0, c0};
          for (std::int64_t t = 0; t < 5; ++t) {
            std::int64_t R = 0;
            while (R < 4 && counts[static_cast<std::size_t>(R)] > t) ++R;
            Tensor step = Tensor::zeros({R, 27 + (c0.defined() ? 9 : 0)});
            ops::require_grad(step);
            const std::int64_t width = step.dim(1);
            f.ctx.tape->record([=] {  // gather's gradient
              const Tensor d = step.grad();
              const auto target = ops::gradient_target(projection);
              if (!target.accumulate) std::fill_n(target.data, projection.elements(), 0.0f);
              for (std::int64_t r = 0; r < R; ++r)
                for (std::int64_t j = 0; j < width; ++j)
                  target.data[(sequences->start[static_cast<std::size_t>(r)] + t) * width + j] +=
                      d.f32()[r * width + j];
            });
            for (std::int64_t r = 0; r < R; ++r)
              std::copy_n(projection.f32() + (sequences->start[static_cast<std::size_t>(r)] + t) * width,
                          width, step.f32() + r * width);
            state.h = ops::rows(f.ctx, state.h, 0, R);
            if (c0.defined()) state.c = ops::rows(f.ctx, state.c, 0, R);
            state = loop.step(f.ctx, step, state);
            Tensor d_step = Tensor::empty({R, 9});
            for (std::int64_t r = 0; r < R; ++r) {
              const std::int64_t row = sequences->start[static_cast<std::size_t>(r)] + t;
              std::copy_n(state.h.f32() + r * 9, 9, out.f32() + row * 9);
              std::copy_n(d_h.f32() + row * 9, 9, d_step.f32() + r * 9);
            }
            ops::give_gradient(state.h, d_step);
          }
        }
        keep(way, out);
        tape.backward();
        keep(way, x.grad());
        keep(way, h0.grad());
        for (const auto& parameter : f.parameters.all()) keep(way, parameter.value.grad());
      }
      EXPECT_EQ(found[0][0], found[1][0]);
      for (std::size_t i = 0; i < found[0].size(); ++i)
        for (std::size_t j = 0; j < found[0][i].size(); ++j)
          ASSERT_NEAR(found[0][i][j], found[1][i][j], 2e-5 * (1 + std::abs(found[0][i][j]))) << i;
    }
}

TEST(RecurrentCell, FeedbackIsAPartOfTheInput) {
  Fixture f;
  const RecurrentCell fed(f.builder, "fed", {.input = 3, .hidden = 4}, 2);
  const RecurrentCell plain(f.builder, "plain", {.input = 5, .hidden = 4});
  f.ready();
  const auto value = [&](const std::string& name) {
    return std::ranges::find(f.parameters.all(), name, &Parameter::name)->value;
  };
  for (const std::string name : {"weight_hh_l0", "bias_hh_l0", "bias_ih_l0"})
    std::ranges::copy(value("fed." + name).values(), value("plain." + name).f32());
  for (std::int64_t row = 0; row < 12; ++row) {
    std::copy_n(value("fed.weight_ih_l0").f32() + row * 3, 3, value("plain.weight_ih_l0").f32() + row * 5);
    std::copy_n(value("fed.weight_fh_l0").f32() + row * 2, 2,
                value("plain.weight_ih_l0").f32() + row * 5 + 3);
  }
  const Tensor x = random_tensor({1, 3}, 1), context = random_tensor({1, 2}, 2), h = random_tensor({1, 4}, 3);
  Tensor both = Tensor::empty({1, 5});
  std::copy_n(context.f32(), 2, std::copy_n(x.f32(), 3, both.f32()));
  const auto a = RecurrentCell::Loop(f.ctx, fed, 1).step(f.ctx, fed.project(f.ctx, x), {h, {}}, context);
  const auto b = RecurrentCell::Loop(f.ctx, plain, 1).step(f.ctx, plain.project(f.ctx, both), {h, {}});
  for (int j = 0; j < 4; ++j) EXPECT_NEAR(a.h.f32()[j], b.h.f32()[j], 1e-6);
  EXPECT_THROW(RecurrentCell::Loop(f.ctx, fed, 1).step(f.ctx, fed.project(f.ctx, x), {h, {}}), Error);
  EXPECT_THROW(fed.whole(f.ctx, fed.project(f.ctx, x), {h, {}}, packed({1})), Error);
}

}  // namespace
}  // namespace fovea::nn
