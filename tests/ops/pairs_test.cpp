#include "fovea/ops/pairs.h"

#include "fovea/ops/normalise.h"
#include "tests/ops/gradient_check.h"
#include "tests/ops/pairs_batch.h"

namespace fovea::ops {
namespace {

using PairGradients = PairOps;
using PairsOp = PairOps;

TEST_F(PairGradients, H01_DotScores) {
  const PairsPtr pairs = pairs_of(4, {3, 0, 2}, {2, 1, 4});
  for (const std::int64_t kv_heads : {1, 2, 4})
    check_gradients(
        [&](const Context& ctx, const std::vector<Tensor>& in) {
          return dot_scores(ctx, {in[0], 1}, {in[1], 2}, pairs, {kv_heads, 3, 0.7f});
        },
        {random_tensor({5, 14}, 1), random_tensor({7, 3 * kv_heads + 2}, 2)}, context());
}

TEST_F(PairGradients, H01_Mix) {
  const PairsPtr pairs = pairs_of(4, {3, 0, 2}, {2, 1, 4});
  for (const std::int64_t kv_heads : {1, 2, 4})
    check_gradients(
        [&](const Context& ctx, const std::vector<Tensor>& in) {
          return mix(ctx, in[0], {in[1], 1}, pairs, {kv_heads, 5});
        },
        {random_tensor({pairs->elements()}, 1), random_tensor({7, 5 * kv_heads + 1}, 2)}, context());
}

TEST_F(PairGradients, H01_PairDropout) {
  const PairsPtr pairs = pairs_of(2, {3, 2}, {2, 4});
  check_gradients(
      [&](const Context& ctx, const std::vector<Tensor>& in) {
        return pair_dropout(ctx, in[0], pairs, {0.4f, 1001});
      },
      {random_tensor({pairs->elements()}, 1)}, context(true));
}

// Queries, keys and values of one matrix, all three products and two normalisers: as self-attention by pairs
// is built.
TEST_F(PairGradients, H01_SelfAttentionInOnePackedMatrix) {
  const auto sequences = sequences_of({4, 3});
  const PairsPtr pairs = Pairs::of(sequences, sequences, 2);
  auto mask = std::make_shared<VisiblePairs>();
  mask->causal = true;
  for (const Normaliser normaliser : {Normaliser::softmax, Normaliser::sparsemax})
    check_gradients(
        [&](const Context& ctx, const std::vector<Tensor>& in) {
          const Tensor scores = dot_scores(ctx, {in[0], 0}, {in[0], 6}, pairs, {2, 3, 0.3f});
          const Tensor weights = normalise(ctx, scores, pairs, {normaliser, 0.9f, mask});
          return mix(ctx, pair_dropout(ctx, weights, pairs, {0.2f, 1003}), {in[0], 12}, pairs, {2, 2});
        },
        {random_tensor({7, 16}, 1, 0.5f)}, context(true), 6e-3);
}

// The one formula, two ways: tiles and explicit pairs, with the same dropout.
TEST_F(PairsOp, AgreesWithTiledAttention) {
  const auto queries = sequences_of({5, 1, 17}), keys = sequences_of({5, 3, 20});
  const PairsPtr pairs = Pairs::of(queries, keys, 4);
  const Tensor q = random_tensor({23, 32}, 1), k = random_tensor({28, 16}, 2), v = random_tensor({28, 10}, 3);
  auto mask = std::make_shared<VisiblePairs>();
  for (const bool causal : {false, true}) {
    mask->causal = causal;
    AttentionOptions options;
    options.heads = 4, options.kv_heads = 2, options.key_width = 8, options.value_width = 5;
    options.visible = causal ? kernels::Visibility::causal() : kernels::Visibility::everything();
    options.dropping = {0.3f, 1004};
    const Context ctx = context(true);
    const Tensor tiled = attention(ctx, {q}, {k}, {v}, queries, keys, options);
    const Tensor scores = dot_scores(ctx, {q}, {k}, pairs, {2, 8, 1 / std::sqrt(8.0f)});
    const Tensor weights = normalise(ctx, scores, pairs, {Normaliser::softmax, 1.0f, mask});
    const Tensor context = mix(ctx, pair_dropout(ctx, weights, pairs, {0.3f, 1004}), {v}, pairs, {2, 5});
    for (std::int64_t i = 0; i < tiled.elements(); ++i) ASSERT_NEAR(tiled.f32()[i], context.f32()[i], 2e-6);
  }
}

TEST_F(PairsOp, ShapesThatDoNotFit) {
  const Context ctx = context();
  const PairsPtr pairs = pairs_of(2, {3, 1}, {2, 4});
  EXPECT_EQ(pairs->text(), "H 2, T 3+1, S 2+4");
  const Tensor q = Tensor::zeros({4, 6}), k = Tensor::zeros({6, 6}), short_k = Tensor::zeros({5, 6});
  expect_error([&] { dot_scores(ctx, {q, 1}, {k}, pairs, {2, 3}); }, "do not fit in [4, 6]");
  expect_error(
      [&] {
        dot_scores(ctx, {q}, {short_k}, pairs, {2, 3});
      },
      "fewer rows than the 6 keys of H 2, T 3+1, S 2+4");
  expect_error(
      [&] {
        dot_scores(ctx, {short_k.rows(0, 3)}, {k}, pairs, {2, 3});
      },
      "fewer rows than the 4 queries");
  expect_error([&] { dot_scores(ctx, {q}, {k}, pairs, {3, 2}); }, "cannot share 3 key heads");
  expect_error([&] { mix(ctx, Tensor::zeros({19}), {k}, pairs, {2, 3}); }, "[19] is not the 20 pairs of H 2");
  expect_error([&] { pairs_of(1, {1}, {1, 1}); }, "1 query sequences but 2 key sequences");
  expect_error([&] { pairs_of(0, {1}, {1}); }, "H = 0");
  expect_error(
      [&] {
        pair_dropout(ctx, Tensor::zeros({20}), pairs, {1.0f, 1});
      },
      "dropout must lie in [0, 1)");
}

TEST_F(PairsOp, RowsOfNoSequenceAreZero) {
  auto queries = std::make_shared<Sequences>();
  queries->start = {2}, queries->count = {1};
  const PairsPtr pairs = Pairs::of(queries, sequences_of({2}), 1);
  const Tensor context_ =
      mix(context(), Tensor::full({2}, 0.5f), {Tensor::full({2, 3}, 2.0f)}, pairs, {1, 3});
  EXPECT_EQ(std::vector<float>(context_.values().begin(), context_.values().end()),
            (std::vector<float>{0, 0, 0, 0, 0, 0, 2, 2, 2}));
}

}  // namespace
}  // namespace fovea::ops
