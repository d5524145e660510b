#include "fovea/ops/additive_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "tests/ops/gradient_check.h"

namespace fovea::ops {
namespace {

class AdditiveOps : public testing::Test {
 protected:
  Context context(bool training = true) {
    Context ctx;
    ctx.exec = owner_.get();
    ctx.training = training;
    ctx.seed = 3;
    ctx.update = 5;
    return ctx;
  }
  kernels::ExecutionOwner owner_{2};
  const std::vector<std::int32_t> query_offsets_{0, 3, 3, 7}, key_offsets_{0, 2, 4, 9};
  std::shared_ptr<const Sequences> queries_ = Sequences::packed(query_offsets_);
  std::shared_ptr<const Sequences> keys_ = Sequences::packed(key_offsets_);
  const AdditiveOptions options_{.heads = 2, .width = 3, .value_width = 5};
};

using AdditiveGradients = AdditiveOps;

TEST_F(AdditiveGradients, H01_Attention) {
  for (const float dropout : {0.0f, 0.3f})
    for (const std::int64_t right : {kernels::Visibility::unbounded, std::int64_t{0}}) {
      AdditiveOptions options = options_;
      options.visible.right = right;
      options.dropping = {dropout, 1004};
      check_gradients(
          [&](const Context& ctx, const std::vector<Tensor>& in) {
            return additive_attention(ctx, {in[0], 0}, {in[1], 0}, in[2], {in[3], 0}, queries_, keys_,
                                      options);
          },
          {random_tensor({7, 6}, 1), random_tensor({9, 6}, 2), random_tensor({2, 3}, 3),
           random_tensor({9, 10}, 4)},
          context());
    }
}

// Queries, keys and values in one matrix, of which a column is nobody's.
TEST_F(AdditiveGradients, H01_SelfAttentionInOneMatrix) {
  AdditiveOptions options = options_;
  options.visible = {2, 1};
  check_gradients(
      [&](const Context& ctx, const std::vector<Tensor>& in) {
        return additive_attention(ctx, {in[0], 0}, {in[0], 6}, in[1], {in[0], 12}, keys_, keys_, options);
      },
      {random_tensor({9, 23}, 1), random_tensor({2, 3}, 3)}, context());
}

TEST_F(AdditiveGradients, H01_Scores) {
  check_gradients(
      [&](const Context& ctx, const std::vector<Tensor>& in) {
        return additive_scores(ctx, {in[0], 0}, {in[1], 0}, in[2], queries_, keys_, options_);
      },
      {random_tensor({7, 6}, 1), random_tensor({9, 6}, 2), random_tensor({2, 3}, 3)}, context());
}

TEST_F(AdditiveGradients, H01_WeightNormalised) {
  check_gradients(
      [](const Context& ctx, const std::vector<Tensor>& in) { return weight_normalised(ctx, in[0], in[1]); },
      {random_tensor({3, 7}, 1), random_tensor({3}, 2)}, context());
}

TEST_F(AdditiveOps, WeightNormalisedHasTheNormItIsGiven) {
  const Tensor y =
      weight_normalised(context(), random_tensor({2, 9}, 1), Tensor::of({2}, std::vector{2.5f, 0.5f}));
  for (int h = 0; h < 2; ++h) {
    double square = 0.0;
    for (int d = 0; d < 9; ++d) square += std::pow(y.f32()[h * 9 + d], 2);
    EXPECT_NEAR(std::sqrt(square), h == 0 ? 2.5 : 0.5, 1e-6);
  }
  EXPECT_THROW(weight_normalised(context(), Tensor::zeros({1, 4}), Tensor::full({1}, 1.0f)), Error);
}

// Weights of the recorder times values are the context, and the scores' softmax are the weights.
TEST_F(AdditiveOps, RecorderGetsTheWeights) {
  struct Keep : Recorder {
    std::map<std::string, Tensor> seen;
    bool wants(std::string_view place) const override { return place == "here"; }
    void attention(std::string_view place, const Tensor& weights) override {
      seen[std::string(place)] = weights;
    }
  } recorder;
  const Tensor q = random_tensor({7, 6}, 1), k = random_tensor({9, 6}, 2), v = random_tensor({2, 3}, 3),
               value = random_tensor({9, 10}, 4);
  Context ctx = context(false);
  ctx.recorder = &recorder;
  AdditiveOptions options = options_;
  options.place = "there";
  additive_attention(ctx, {q, 0}, {k, 0}, v, {value, 0}, queries_, keys_, options);
  EXPECT_TRUE(recorder.seen.empty());
  options.place = "here";
  const Tensor y = additive_attention(ctx, {q, 0}, {k, 0}, v, {value, 0}, queries_, keys_, options);
  const Tensor weights = recorder.seen.at("here");
  const Tensor scores = additive_scores(ctx, {q, 0}, {k, 0}, v, queries_, keys_, options);
  ASSERT_EQ(weights.elements(), 2 * (3 * 2 + 0 * 2 + 4 * 5));
  // Sequence 0: T = 3, S = 2.
  for (int h = 0; h < 2; ++h)
    for (int t = 0; t < 3; ++t) {
      const float *w = weights.f32() + (h * 3 + t) * 2, *s = scores.f32() + (h * 3 + t) * 2;
      EXPECT_NEAR(w[0], 1.0 / (1.0 + std::exp(s[1] - s[0])), 1e-5);
      for (int e = 0; e < 5; ++e)
        EXPECT_NEAR(y.f32()[t * 10 + h * 5 + e],
                    w[0] * value.f32()[h * 5 + e] + w[1] * value.f32()[10 + h * 5 + e], 1e-5);
    }
}

TEST_F(AdditiveOps, PreparedKeysChangeNothing) {
  const Tensor q = random_tensor({7, 6}, 1), k = random_tensor({9, 6}, 2), v = random_tensor({2, 3}, 3),
               value = random_tensor({9, 10}, 4);
  AdditiveOptions options = options_;
  const Tensor plain = additive_attention(context(), {q, 0}, {k, 0}, v, {value, 0}, queries_, keys_, options);
  options.prepared = prepare_additive_keys(context(), {k, 0}, 2, 3);
  const Tensor with = additive_attention(context(), {q, 0}, {k, 0}, v, {value, 0}, queries_, keys_, options);
  for (std::int64_t i = 0; i < plain.elements(); ++i) EXPECT_EQ(plain.f32()[i], with.f32()[i]);
}

TEST_F(AdditiveOps, NamesTheShapesThatDisagree) {
  const Tensor q = random_tensor({7, 6}, 1), k = random_tensor({9, 6}, 2), v = random_tensor({2, 3}, 3),
               value = random_tensor({9, 10}, 4);
  const auto message = [&](const PackedHeads& a, const PackedHeads& b, const Tensor& c, const PackedHeads& d,
                           std::shared_ptr<const Sequences> keys, AdditiveOptions options) {
    try {
      additive_attention(context(), a, b, c, d, queries_, keys, options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(message({q, 1}, {k, 0}, v, {value, 0}, keys_, options_).find("additive attention: q"),
            std::string::npos);
  EXPECT_NE(message({q, 0}, {k, 1}, v, {value, 0}, keys_, options_).find("additive attention: k"),
            std::string::npos);
  EXPECT_NE(message({q, 0}, {k, 0}, k, {value, 0}, keys_, options_).find("v [H, D]"), std::string::npos);
  EXPECT_NE(message({q, 0}, {k, 0}, v, {value, 1}, keys_, options_).find("value"), std::string::npos);
  EXPECT_NE(
      message({q, 0}, {k, 0}, v, {value, 0}, Sequences::packed(std::vector<std::int32_t>{0, 9}), options_)
          .find("1 key sequences"),
      std::string::npos);
  AdditiveOptions options = options_;
  options.prepared = random_tensor({9, 3}, 1);
  EXPECT_NE(message({q, 0}, {k, 0}, v, {value, 0}, keys_, options).find("prepared"), std::string::npos);
}

}  // namespace
}  // namespace fovea::ops
