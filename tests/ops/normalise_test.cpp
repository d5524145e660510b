#include "fovea/ops/normalise.h"

#include "tests/ops/gradient_check.h"
#include "tests/ops/pairs_batch.h"

namespace fovea::ops {
namespace {

using NormaliseGradients = PairOps;
using NormaliseOp = PairOps;

std::shared_ptr<VisiblePairs> causal_mask() {
  auto mask = std::make_shared<VisiblePairs>();
  mask->causal = true;
  return mask;
}

// Scores whose sparsemax keeps every key farther from the threshold than the steps of a difference move it:
// with tau = z - w of a supported key, |z - tau| > 0.1 for all visible keys.
Tensor away_from_kinks(const Context& ctx, const PairsPtr& pairs, const NormaliseOptions& options) {
  const auto x = pairs->extents();
  for (std::uint64_t seed = 1;; ++seed) {
    const Tensor scores = random_tensor({pairs->elements()}, seed, 1.5f);
    const Tensor weights = normalise(ctx, scores, pairs, options);
    const auto visible = options.mask ? options.mask->of(*pairs) : kernels::PairVisibility{};
    bool away = true;
    for (std::int64_t b = 0; b < x.sequences; ++b)
      for (std::int64_t h = 0; h < x.heads; ++h)
        for (std::int64_t t = 0; t < x.q_count[b]; ++t) {
          const std::int64_t at = x.row(b, h, t);
          const auto keys = kernels::visible_keys(x, visible, b, h, t);
          float tau = 0.0f;
          for (std::int64_t j = 0; j < x.k_count[b]; ++j)
            if (const float w = weights.f32()[at + j]; w > 0.0f)
              tau = scores.f32()[at + j] / options.temperature - w;
          for (std::int64_t j = 0; j < x.k_count[b]; ++j)
            if (keys.sees(j))
              away = away && std::abs(scores.f32()[at + j] / options.temperature - tau) > 0.1f;
        }
    if (away) return scores;
  }
}

TEST_F(NormaliseGradients, H01_SoftmaxAndSparsemax) {
  const PairsPtr pairs = pairs_of(2, {3, 2, 1, 4}, {3, 5, 1, 0});
  auto masked = causal_mask();
  masked->left = 2;
  for (std::int64_t i = 0; i < pairs->elements() / 2; ++i) masked->mask.push_back(i % 5 != 1);
  for (const Normaliser normaliser : {Normaliser::softmax, Normaliser::sparsemax})
    for (const auto& mask : {std::shared_ptr<VisiblePairs>(), causal_mask(), masked}) {
      const NormaliseOptions options{normaliser, 0.8f, mask};
      check_gradients([&](const Context& ctx,
                          const std::vector<Tensor>& in) { return normalise(ctx, in[0], pairs, options); },
                      {away_from_kinks(context(), pairs, {Normaliser::sparsemax, 0.8f, mask})}, context());
    }
}

TEST_F(NormaliseGradients, H01_Entropy) {
  const PairsPtr pairs = pairs_of(2, {3, 2}, {3, 5});
  check_gradients(
      [&](const Context& ctx, const std::vector<Tensor>& in) {
        return row_entropy(ctx, normalise(ctx, in[0], pairs, {.mask = causal_mask()}), pairs);
      },
      {random_tensor({pairs->elements()}, 5)}, context());
}

TEST_F(NormaliseOp, EveryParameterChangesTheAnswer) {
  const PairsPtr pairs = pairs_of(2, {6}, {7});
  const Tensor scores = random_tensor({pairs->elements()}, 2);
  const Context ctx = context();
  const auto answer = [&](const VisiblePairs& mask, Normaliser normaliser = Normaliser::softmax,
                          float temperature = 1) {
    return normalise(ctx, scores, pairs, {normaliser, temperature, std::make_shared<VisiblePairs>(mask)});
  };
  const Tensor plain = answer({});
  EXPECT_FALSE(differ(plain, normalise(ctx, scores, pairs, {})));
  EXPECT_TRUE(differ(plain, answer({}, Normaliser::sparsemax)));
  EXPECT_TRUE(differ(plain, answer({}, Normaliser::hardmax)));
  EXPECT_TRUE(differ(plain, answer({}, Normaliser::softmax, 0.5f)));
  VisiblePairs mask;
  mask.causal = true;
  const Tensor causal = answer(mask);
  EXPECT_TRUE(differ(plain, causal));
  mask.alignment = kernels::RowAlignment::start;
  EXPECT_TRUE(differ(causal, answer(mask)));
  mask.alignment = kernels::RowAlignment::end;
  mask.prefix = {3};
  EXPECT_TRUE(differ(causal, answer(mask)));
  mask.prefix.clear();
  mask.left = 1;
  EXPECT_TRUE(differ(causal, answer(mask)));
  mask = {};
  mask.right = 1;
  EXPECT_TRUE(differ(plain, answer(mask)));
  mask = {};
  mask.centre = Tensor::full({6}, 3.2f);
  mask.reach = 2;
  const Tensor centred = answer(mask);
  EXPECT_TRUE(differ(plain, centred));
  mask.reach = 1;
  EXPECT_TRUE(differ(centred, answer(mask)));
  mask = {};
  mask.mask.assign(42, 1);
  EXPECT_FALSE(differ(plain, answer(mask)));
  mask.mask[5] = 0;
  const Tensor shared = answer(mask);
  EXPECT_TRUE(differ(plain, shared));
  EXPECT_EQ(shared.f32()[42 + 5], 0.0f);  // both heads
  mask.mask.assign(84, 1);
  mask.mask[5] = 0;
  EXPECT_NE(answer(mask).f32()[42 + 5], 0.0f);  // one head
}

TEST_F(NormaliseOp, MasksThatDoNotFit) {
  const PairsPtr pairs = pairs_of(2, {3, 1}, {2, 4});
  const Tensor scores = Tensor::zeros({20});
  const auto with = [&](const VisiblePairs& mask) {
    normalise(context(), scores, pairs, {.mask = std::make_shared<VisiblePairs>(mask)});
  };
  VisiblePairs mask;
  mask.mask.assign(11, 1);
  expect_error([&] { with(mask); }, "a mask of 11 is neither [H,T,S] nor [T,S] of H 2, T 3+1, S 2+4");
  mask = {};
  mask.prefix = {1};
  expect_error([&] { with(mask); }, "prefix has 1 lengths for B = 2");
  mask = {};
  mask.centre = Tensor::zeros({4, 3});
  expect_error([&] { with(mask); }, "centre [4, 3] is not [N_q] or [N_q, H]");
}

}  // namespace
}  // namespace fovea::ops
