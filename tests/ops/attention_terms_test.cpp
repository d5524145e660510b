// What decides besides the score how much a pair counts, through the tape. The kernels' own tests compare
// every term with the reference.
#include "fovea/ops/attention.h"

#include "tests/ops/gradient_check.h"

namespace fovea::ops {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

class AttentionTerms : public testing::Test {
 protected:
  // Two sequences, T = 4 and 2, S = 3 and 5; H = 2 heads 4 wide.
  Tensor attend(const Context& ctx, const std::vector<Tensor>& qkv,
                std::shared_ptr<const PairTerms> terms) const {
    AttentionOptions options{.heads = 2, .kv_heads = 2, .key_width = 4, .value_width = 4};
    options.terms = std::move(terms);
    return attention(ctx, {qkv[0]}, {qkv[1]}, {qkv[2]}, queries_, keys_, options);
  }
  Tensor attend(const PairTerms& terms) const {
    return attend(context(), qkv_, std::make_shared<PairTerms>(terms));
  }
  Context context() const {
    Context ctx;
    ctx.exec = owner_.get();
    return ctx;
  }
  std::string refusal(const PairTerms& terms) const {
    try {
      attend(terms);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  kernels::ExecutionOwner owner_{2};
  std::shared_ptr<const Sequences> queries_ = Sequences::packed(std::vector<std::int32_t>{0, 4, 6});
  std::shared_ptr<const Sequences> keys_ = Sequences::packed(std::vector<std::int32_t>{0, 3, 8});
  std::vector<Tensor> qkv_{random_tensor({6, 8}, 1), random_tensor({8, 8}, 2), random_tensor({8, 8}, 3)};
};

TEST_F(AttentionTerms, H01_GradientsOfBiasRelativeAndSinks) {
  for (const Shape& shape : {Shape{2, 2, 4, 5}, Shape{1, 2, 4, 5}, Shape{2, 1, 1, 5}, Shape{1, 1, 4, 1}}) {
    auto inputs = qkv_;
    inputs.push_back(random_tensor(shape, 4));
    inputs.push_back(random_tensor({2, 12}, 5));
    inputs.push_back(random_tensor({2}, 6));
    check_gradients(
        [&](const Context& ctx, const std::vector<Tensor>& in) {
          auto terms = std::make_shared<PairTerms>();
          terms->bias = in[3];
          terms->relative = in[4];
          terms->relative_zero = 5;
          terms->sinks = in[5];
          return attend(ctx, in, terms);
        },
        inputs, context());
  }
}

TEST_F(AttentionTerms, AMaskHidesAsABiasOfMinusInfinityDoes) {
  PairTerms masked, biased;
  masked.mask = Tensor::zeros({1, 1, 4, 5}, DType::i8);
  biased.bias = Tensor::zeros({1, 1, 4, 5});
  auto* byte = reinterpret_cast<std::int8_t*>(masked.mask.raw());
  for (int i = 0; i < 20; ++i) {
    byte[i] = i % 3 != 0;
    biased.bias.f32()[i] = i % 3 != 0 ? 0.0f : -infinity;
  }
  const Tensor a = attend(masked), b = attend(biased), open = attend(PairTerms{});
  bool differs = false;
  for (std::int64_t i = 0; i < a.elements(); ++i) {
    EXPECT_FLOAT_EQ(a.f32()[i], b.f32()[i]);
    differs |= a.f32()[i] != open.f32()[i];
  }
  EXPECT_TRUE(differs);
}

TEST_F(AttentionTerms, WhatDoesNotFitIsNamed) {
  PairTerms terms;
  terms.bias = Tensor::zeros({1, 3, 4, 5});
  EXPECT_NE(refusal(terms).find("[1, 3, 4, 5], which does not broadcast to [B, H, T, S] [2, 2, 4, 5]"),
            std::string::npos)
      << refusal(terms);
  terms = {};
  terms.mask = Tensor::zeros({1, 1, 4, 5});
  EXPECT_NE(refusal(terms).find("a mask of f32, not i8"), std::string::npos);
  terms = {};
  terms.relative = Tensor::zeros({3, 12});
  EXPECT_NE(refusal(terms).find("not [H, distances] with H = 2 or 1"), std::string::npos);
  terms = {};
  terms.prefix = {1};
  EXPECT_NE(refusal(terms).find("1 prefixes for B = 2 sequences"), std::string::npos);
  terms = {};
  terms.sinks = Tensor::zeros({3});
  EXPECT_NE(refusal(terms).find("sinks [H]"), std::string::npos);
}

}  // namespace
}  // namespace fovea::ops
