#include "fovea/ops/match.h"

#include "fovea/ops/linear.h"
#include "tests/ops/gradient_check.h"
#include "tests/ops/pairs_batch.h"

namespace fovea::ops {
namespace {

using MatchGradients = PairOps;
using MatchOp = PairOps;
using kernels::Activation;

TEST_F(MatchGradients, H01_OneToThreeLayersInSmallChunks) {
  const PairsPtr pairs = pairs_of(2, {3, 2, 0}, {4, 5, 1});
  const std::vector<Tensor> inputs = {random_tensor({5, 6}, 1, 0.5f), random_tensor({10, 6}, 2, 0.5f),
                                      random_tensor({4, 6}, 3, 0.5f), random_tensor({4}, 4, 0.5f),
                                      random_tensor({3, 4}, 5, 0.5f), random_tensor({3}, 6, 0.5f),
                                      random_tensor({2, 3}, 7, 0.5f), random_tensor({2}, 8, 0.5f)};
  for (const Activation activation : {Activation::tanh, Activation::gelu})
    check_gradients(
        [&](const Context& ctx, const std::vector<Tensor>& in) {
          return match_scores(ctx, in[0], in[1], {{in[2], in[3]}, {in[4], in[5]}, {in[6], in[7]}}, pairs,
                              {activation, 7});
        },
        inputs, context());
  check_gradients(
      [&](const Context& ctx, const std::vector<Tensor>& in) {
        return match_scores(ctx, in[0], in[1], {{in[2], {}}}, pairs, {Activation::silu, 3});
      },
      {inputs[0], inputs[1], random_tensor({2, 6}, 9)}, context());
}

// The network on concatenated [q; k], pair by pair, in double.
TEST_F(MatchOp, AgreesWithTheNetworkOnConcatenatedPairs) {
  const std::vector<std::int32_t> T = {3, 0, 5}, S = {4, 2, 1};
  const PairsPtr pairs = pairs_of(2, T, S);
  const std::int64_t Q = 3, K = 5, D = 19, D2 = 7;
  const Tensor q = random_tensor({8, Q}, 1), k = random_tensor({7, K}, 2), b1 = random_tensor({D}, 3);
  const Tensor W_q = random_tensor({D, Q}, 4), W_k = random_tensor({D, K}, 5);
  const Tensor W2 = random_tensor({D2, D}, 6, 0.3f), b2 = random_tensor({D2}, 7),
               W3 = random_tensor({2, D2}, 8);
  const auto at = [](const Tensor& W, std::int64_t r, std::int64_t c) {
    return double(W.f32()[r * W.dim(1) + c]);
  };
  std::vector<double> expected;
  std::int64_t q_row = 0, k_row = 0;
  for (std::size_t b = 0; b < T.size(); q_row += T[b], k_row += S[b], ++b)
    for (std::int64_t h = 0; h < 2; ++h)
      for (std::int64_t t = 0; t < T[b]; ++t)
        for (std::int64_t j = 0; j < S[b]; ++j) {
          std::vector<double> hidden;
          for (std::int64_t d = 0; d < D; ++d) {
            double sum = b1.f32()[d];
            for (std::int64_t e = 0; e < Q; ++e) sum += at(W_q, d, e) * at(q, q_row + t, e);
            for (std::int64_t e = 0; e < K; ++e) sum += at(W_k, d, e) * at(k, k_row + j, e);
            hidden.push_back(std::tanh(sum));
          }
          double score = 0.0;
          for (std::int64_t o = 0; o < D2; ++o) {
            double sum = b2.f32()[o];
            for (std::int64_t d = 0; d < D; ++d) sum += at(W2, o, d) * hidden[std::size_t(d)];
            score += at(W3, h, o) * std::tanh(sum);
          }
          expected.push_back(score);
        }
  for (const auto set : kernels::available_kernels()) {
    Context ctx = context();
    ctx.exec.kernels = set;
    const Tensor a_q = linear(ctx, q, W_q, {}), a_k = linear(ctx, k, W_k, b1);
    const std::vector<MatchLayer> layers = {{W2, b2}, {W3, {}}};
    const Tensor scores = match_scores(ctx, a_q, a_k, layers, pairs);
    for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(scores.f32()[i], expected[i], 1e-5);
    for (const std::int64_t rows : {1, 2, 5, 17})
      EXPECT_FALSE(differ(scores, match_scores(ctx, a_q, a_k, layers, pairs, {Activation::tanh, rows})));
    EXPECT_TRUE(differ(scores, match_scores(ctx, a_q, a_k, layers, pairs, {Activation::relu, 17})));
    EXPECT_TRUE(differ(scores, match_scores(ctx, a_q, a_k, {{W2, {}}, {W3, {}}}, pairs)));
  }
}

TEST_F(MatchOp, GradientsHaveTheSameBitsForAnyNumberOfThreads) {
  const PairsPtr pairs = pairs_of(1, {30, 11}, {25, 40});
  std::vector<float> first;
  for (const int threads : {1, 2, 4}) {
    const kernels::ExecutionOwner owner(threads);
    Tape tape;
    Context ctx;
    ctx.exec = owner.get();
    ctx.tape = &tape;
    std::vector<Tensor> in = {random_tensor({41, 70}, 1), random_tensor({65, 70}, 2),
                              random_tensor({9, 70}, 3), random_tensor({9}, 4), random_tensor({1, 9}, 5)};
    for (Tensor& input : in) require_grad(input);
    const Tensor scores =
        match_scores(ctx, in[0], in[1], {{in[2], in[3]}, {in[4], {}}}, pairs, {Activation::tanh, 100});
    give_gradient(scores, random_tensor(scores.shape(), 6));
    tape.backward();
    std::vector<float> all(scores.values().begin(), scores.values().end());
    for (const Tensor& input : in)
      all.insert(all.end(), input.grad().values().begin(), input.grad().values().end());
    if (first.empty()) first = all;
    EXPECT_EQ(first, all) << threads;
  }
}

TEST_F(MatchOp, LayersThatDoNotFit) {
  const PairsPtr pairs = pairs_of(2, {3}, {4});
  const Tensor a_q = Tensor::zeros({3, 6}), a_k = Tensor::zeros({4, 6});
  const auto with = [&](const std::vector<MatchLayer>& layers) {
    match_scores(context(), a_q, a_k, layers, pairs);
  };
  expect_error([&] { with({}); }, "0 layers");
  expect_error([&] { with({{Tensor::zeros({1, 6}), {}}}); }, "match: W of layer 2");  // H is 2
  expect_error(
      [&] {
        with({{Tensor::zeros({5, 6}), {}}, {Tensor::zeros({2, 4}), {}}});
      },
      "match: W of layer 3");
  expect_error([&] { match_scores(context(), a_q, Tensor::zeros({4, 5}), {}, pairs); }, "a_k [N_k, D]");
}

}  // namespace
}  // namespace fovea::ops
