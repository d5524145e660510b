#include "fovea/attention/multi_head_attention.h"

#include <gtest/gtest.h>

#include "fovea/formats/safetensors.h"
#include "fovea/ops/rows.h"
#include "tests/ops/gradient_check.h"

namespace fovea::attention {
namespace {

using ops::random_tensor;

std::shared_ptr<const Sequences> two_of(std::int32_t length) {
  return Sequences::packed(std::vector<std::int32_t>{0, length, 2 * length});
}

// Modules of torch.nn.MultiheadAttention, saved by benchmarks/peers/multi_head_fixture.py.
class TorchMultiHead : public testing::Test {
 protected:
  Tensor saved(const std::string& name) const {
    const Tensor tensor = file_.read(name_ + "." + name);
    if (tensor.shape().rank() != 3) return tensor;
    return tensor.reshape({tensor.dim(0) * tensor.dim(1), tensor.dim(2)});  // [B, T, D] as rows
  }
  bool has(const std::string& name) const {
    return std::ranges::count(file_.tensors(), name_ + "." + name, &formats::TensorInfo::name) > 0;
  }

  static void expect_near(const Tensor& got, const Tensor& want, const std::string& what) {
    ASSERT_TRUE(got.defined()) << what;
    ASSERT_EQ(got.elements(), want.elements()) << what;
    for (std::int64_t i = 0; i < got.elements(); ++i) {
      const float w = want.f32()[i];
      ASSERT_NEAR(got.f32()[i], w, 2e-6 * (1 + std::abs(w)) * 4) << what << " " << i;
    }
  }

  void check(const std::string& name, const MultiHeadOptions& options, bool causal) {
    name_ = name;
    nn::Parameters parameters;
    nn::Builder builder(parameters);
    const MultiHeadAttention module(builder, "", options);
    parameters.allocate(1);
    parameters.allocate_gradients();
    for (const auto& view : parameters.views()) {
      const Tensor weight = saved("parameter." + view.name);
      ASSERT_EQ(weight.shape().text(), view.value.shape().text()) << view.name;
      std::copy_n(weight.f32(), weight.elements(), view.value.f32());
    }
    Tensor q = saved("q"), k = has("k") ? saved("k") : q, v = has("v") ? saved("v") : k;
    ops::require_grad(q);
    if (has("k")) ops::require_grad(k);
    if (has("v")) ops::require_grad(v);
    if (!has("k")) k = q;
    if (!has("v")) v = k;
    const kernels::ExecutionOwner owner(2);
    ops::Tape tape;
    ops::Context ctx;
    ctx.exec = owner.get();
    ctx.tape = &tape;
    AttendOptions how;
    how.weights = WeightsWanted::yes;
    if (causal) how.visible = Visibility::causal();
    const Attended attended = module(ctx, q, k, v, two_of(5), two_of(has("k") ? 7 : 5), how);
    expect_near(attended.context, saved("out"), name + " out");
    expect_near(attended.weights, file_.read(name + ".weights"), name + " weights");
    ops::give_gradient(attended.context, saved("d_out").clone());
    tape.backward();
    expect_near(q.grad(), saved("d_q"), name + " d_q");
    if (has("k")) expect_near(k.grad(), saved("d_k"), name + " d_k");
    if (has("v")) expect_near(v.grad(), saved("d_v"), name + " d_v");
    for (const auto& parameter : parameters.all())
      expect_near(parameter.value.grad(), saved("d_parameter." + parameter.name),
                  name + " " + parameter.name);
  }

 private:
  formats::SafetensorsFile file_ =
      formats::SafetensorsFile::open(FOVEA_SOURCE_DIR "/tests/attention/torch_multi_head.safetensors");
  std::string name_;
};

TEST_F(TorchMultiHead, SelfAttention) { check("self", {.width = 8, .heads = 2}, false); }
TEST_F(TorchMultiHead, CausalWithoutBias) { check("causal", {.width = 12, .heads = 3, .bias = false}, true); }
TEST_F(TorchMultiHead, CrossAttention) { check("cross", {.width = 8, .heads = 4}, false); }
TEST_F(TorchMultiHead, OtherWidthsOfKeysAndValues) {
  check("widths", {.width = 6, .heads = 2, .key_input = 5, .value_input = 7}, false);
}

// Shared key heads are the same as full ones with their weights repeated.
TEST(MultiHeadAttention, GroupedHeadsAreRepeatedOnes) {
  nn::Parameters grouped_parameters, full_parameters;
  nn::Builder grouped_builder(grouped_parameters), full_builder(full_parameters);
  const MultiHeadAttention grouped(grouped_builder, "", {.width = 16, .heads = 4, .kv_heads = 2});
  const MultiHeadAttention full(full_builder, "", {.width = 16, .heads = 4});
  grouped_parameters.allocate(3);
  full_parameters.allocate(4);
  const auto copy = [&](std::size_t parameter, std::int64_t columns) {  // rows of q, then k, v heads twice
    const float* from = grouped_parameters.all()[parameter].value.f32();
    float* to = full_parameters.all()[parameter].value.f32();
    std::copy_n(from, 16 * columns, to);
    for (std::int64_t part = 0; part < 2; ++part)
      for (std::int64_t h = 0; h < 4; ++h)
        std::copy_n(from + (16 + part * 8 + h / 2 * 4) * columns, 4 * columns,
                    to + (16 + part * 16 + h * 4) * columns);
  };
  for (std::size_t i = 0; i < grouped_parameters.all().size(); ++i) {
    const auto& parameter = grouped_parameters.all()[i];
    if (parameter.name == "in_proj_weight")
      copy(i, 16);
    else if (parameter.name == "in_proj_bias")
      copy(i, 1);
    else
      std::ranges::copy(parameter.value.values(), full_parameters.all()[i].value.f32());
  }
  const kernels::ExecutionOwner owner(2);
  ops::Context ctx;
  ctx.exec = owner.get();
  const Tensor x = random_tensor({6, 16}, 5);
  const Tensor a = grouped(ctx, x, x, x, two_of(3), two_of(3)).context;
  const Tensor b = full(ctx, x, x, x, two_of(3), two_of(3)).context;
  for (std::int64_t i = 0; i < a.elements(); ++i) EXPECT_NEAR(a.f32()[i], b.f32()[i], 1e-6);
}

TEST(MultiHeadAttention, HeadsThatDoNotDivideAreRefused) {
  nn::Parameters parameters;
  nn::Builder builder(parameters);
  EXPECT_THROW(MultiHeadAttention(builder, "", {.width = 10, .heads = 4}), Error);
  EXPECT_THROW(MultiHeadAttention(builder, "", {.width = 16, .heads = 4, .kv_heads = 3}), Error);
}

TEST(Rows, H01_Gradients) {
  const kernels::ExecutionOwner owner(1);
  ops::Context ctx;
  ctx.exec = owner.get();
  ops::check_gradients(
      [](const ops::Context& c, const std::vector<Tensor>& in) {
        return ops::linear(c, in[1], ops::rows(c, in[0], 1, 3), ops::rows(c, in[2], 2, 4));
      },
      {random_tensor({4, 3}, 1), random_tensor({2, 3}, 2), random_tensor({4}, 3)}, ctx);
}

}  // namespace
}  // namespace fovea::attention
