#include "fovea/ops/copy_mixture.h"

#include "fovea/ops/linear.h"
#include "tests/ops/gradient_check.h"
#include "tests/ops/pairs_batch.h"

namespace fovea::ops {
namespace {

Tensor random_ids(std::int64_t count, std::uint64_t seed, std::uint32_t V) {
  Tensor ids = Tensor::empty({count}, DType::i32);
  for (std::int64_t i = 0; i < count; ++i)
    ids.i32()[i] =
        static_cast<std::int32_t>(below(RandomKey::of(seed, 0, 0), static_cast<std::uint64_t>(i), V));
  return ids;
}

/// An output layer of V = 7 over three sentences, the last of which looks at nothing.
class CopyMixtureOp : public PairOps {
 protected:
  Copying copying(const Tensor& p_gen, const Tensor& weights) const {
    return {p_gen, weights, pairs_, source_};
  }
  Tensor probabilities(std::int64_t count, std::uint64_t seed) const {
    Tensor p = random_tensor({count}, seed);
    for (float& x : p.values()) x = 0.15f + 0.7f / (1.0f + std::exp(-x));
    return p;
  }

  PairsPtr pairs_ = pairs_of(2, {3, 2, 2}, {4, 5, 0});
  Tensor ids_ = random_ids(9, 1, 5), targets_ = random_ids(7, 2, 7);
  CopySourcePtr source_ = CopySource::of({ids_.i32(), 9}, pairs_->keys(), 7);
  Tensor x_ = random_tensor({7, 3}, 3), W_ = random_tensor({7, 3}, 4), b_ = random_tensor({7}, 5);
  Tensor p_gen_ = probabilities(7, 6), weights_ = probabilities(pairs_->elements(), 7);
};

// The loss takes no gradient of its own: its weight is what the check multiplies it by.
TEST_F(CopyMixtureOp, H01_Gradients) {
  const float r = random_tensor({1}, 99).f32()[0];
  for (const float smoothing : {0.0f, 0.2f})
    check_gradients(
        [&](const Context& ctx, const std::vector<Tensor>& in) {
          const auto sums = linear_copy_cross_entropy(ctx, in[0], in[1], in[2], copying(in[3], in[4]),
                                                      targets_, smoothing, r);
          Tensor loss = Tensor::full({1}, static_cast<float>(sums.loss));
          require_grad(loss);
          return loss;
        },
        {x_, W_, b_, p_gen_, weights_}, context());
}

TEST_F(CopyMixtureOp, LogProbabilitiesAreThoseOfTheLoss) {
  const Context ctx = context();
  const Copying how = copying(p_gen_, weights_);
  const Tensor log_p = copy_log_probabilities(ctx, linear(ctx, x_, W_, b_), how);
  double nll = 0.0;
  for (std::int64_t n = 0; n < 7; ++n) nll -= double(log_p.f32()[n * 7 + targets_.i32()[n]]);
  const auto sums = linear_copy_cross_entropy(ctx, x_, W_, b_, how, targets_, 0.1f, 1.0f);
  EXPECT_NEAR(sums.nll, nll, 1e-5);
  EXPECT_EQ(sums.tokens, 7);
}

// Weights that sum to 1 make p sum to 1.
TEST_F(CopyMixtureOp, ProbabilitiesSumToOne) {
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t row = 0; row < 2 * pairs_->T(b); ++row) {
      const auto weights = weights_.values().subspan(
          static_cast<std::size_t>(pairs_->extents().offset[b] + row * pairs_->S(b)),
          static_cast<std::size_t>(pairs_->S(b)));
      float sum = 0.0f;
      for (const float w : weights) sum += w;
      for (float& w : weights) w /= sum;
    }
  const Context ctx = context();
  const Tensor log_p = copy_log_probabilities(ctx, linear(ctx, x_, W_, b_), copying(p_gen_, weights_));
  for (std::int64_t n = 0; n < 5; ++n) {
    double sum = 0.0;
    for (std::int64_t v = 0; v < 7; ++v) sum += std::exp(double(log_p.f32()[n * 7 + v]));
    EXPECT_NEAR(sum, 1.0, 1e-6);
  }
}

// Several hypotheses a source, as in a search: the same CopySource serves them.
TEST_F(CopyMixtureOp, RowsThatShareASource) {
  auto queries = std::make_shared<Sequences>(), keys = std::make_shared<Sequences>();
  const std::int64_t of[] = {1, 0, 1};
  for (std::int64_t i = 0; i < 3; ++i) {
    queries->start.push_back(i), queries->count.push_back(1);
    keys->start.push_back(of[i] ? 4 : 0), keys->count.push_back(of[i] ? 5 : 4);
  }
  const PairsPtr shared = Pairs::of(queries, keys, 1);
  const Tensor weights = probabilities(shared->elements(), 8), logits = random_tensor({3, 7}, 9);
  const Tensor p_gen = probabilities(3, 10);
  const Tensor together = copy_log_probabilities(context(), logits, {p_gen, weights, shared, source_});
  for (std::int64_t i = 0; i < 3; ++i) {
    const PairsPtr one = pairs_of(1, {1}, {of[i] ? 5 : 4});
    const auto alone_source =
        CopySource::of(std::span(ids_.i32() + (of[i] ? 4 : 0), of[i] ? 5u : 4u), one->keys(), 7);
    const Tensor alone = copy_log_probabilities(
        context(), logits.slice(i * 7, {1, 7}),
        {p_gen.slice(i, {1}), weights.slice(shared->extents().offset[i], {one->elements()}), one,
         alone_source});
    EXPECT_FALSE(differ(alone, together.slice(i * 7, {1, 7})));
  }
}

TEST_F(CopyMixtureOp, WhatDoesNotFitIsNamed) {
  const auto run = [&](const Copying& how) {
    linear_copy_cross_entropy(context(), x_, W_, b_, how, targets_, 0.0f, 1.0f);
  };
  expect_error([&] { run(copying(Tensor::full({6}, 0.5f), weights_)); },
               "N = 7 outputs, but 7 queries and p_gen");
  expect_error([&] { run(copying(p_gen_, Tensor::zeros({3}))); }, "copying: weights");
  expect_error(
      [&] {
        run({p_gen_, weights_, pairs_, CopySource::of({ids_.i32(), 9}, pairs_->keys(), 8)});
      },
      "sources of V = 8 ids, logits of 7");
  const PairsPtr other = pairs_of(2, {3, 2, 2}, {5, 4, 0});
  expect_error(
      [&] {
        run({p_gen_, Tensor::zeros({other->elements()}), other, source_});
      },
      "none of the sources");
  expect_error([&] { CopySource::of({ids_.i32(), 9}, pairs_->keys(), 3); }, "outside [0, 3)");
}

}  // namespace
}  // namespace fovea::ops
