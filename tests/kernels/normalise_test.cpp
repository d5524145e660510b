#include "fovea/kernels/normalise.h"

#include <gtest/gtest.h>

#include <limits>

#include "fovea/base/error.h"
#include "fovea/kernels/reference/normalise.h"
#include "tests/kernels/finite_difference.h"
#include "tests/kernels/random_pairs.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using test::Batch;
using test::normals;

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr Normaliser every[] = {Normaliser::softmax, Normaliser::sparsemax, Normaliser::hardmax};

std::vector<float> weights_of(const Batch& batch, const std::vector<float>& scores, Normaliser normaliser,
                              const PairVisibility& visible = {}, float temperature = 1.0f,
                              KernelSet set = default_kernels(), int threads = 1) {
  const ExecutionOwner exec(threads, set);
  std::vector<float> weights(scores.size(), -5.0f);
  normalise_forward(exec.get(), {batch.extents(), visible, normaliser, temperature}, scores.data(),
                    weights.data());
  return weights;
}

std::vector<float> one_row(std::vector<float> scores, Normaliser normaliser,
                           KernelSet set = default_kernels()) {
  return weights_of(Batch(1, {1}, {std::int64_t(scores.size())}), scores, normaliser, {}, 1.0f, set);
}

TEST(Normalise, SparsemaxByHand) {
  for (const KernelSet set : available_kernels()) {
    // tau = (1 + 0.5 - 1) / 2 = 0.25: the third, at -1, lies below.
    test::expect_near(one_row({1, 0.5f, -1}, Normaliser::sparsemax, set), std::vector<double>{0.75, 0.25, 0},
                      1e-7, "");
    // A lead of 1 takes all; equals share.
    test::expect_near(one_row({2, 1, 0}, Normaliser::sparsemax, set), std::vector<double>{1, 0, 0}, 1e-7, "");
    test::expect_near(one_row({3, 3, 3, 3}, Normaliser::sparsemax, set), std::vector<double>(4, 0.25), 1e-7,
                      "");
    // tau = (0.8 + 0.6 + 0.1 - 1) / 3 = 1/6 > 0.1, so two: tau = 0.2.
    test::expect_near(one_row({0.1f, 0.8f, 0.6f}, Normaliser::sparsemax, set),
                      std::vector<double>{0, 0.6, 0.4}, 1e-6, "");
  }
}

TEST(Normalise, HardmaxTakesTheFirstOfEquals) {
  for (const KernelSet set : available_kernels()) {
    EXPECT_EQ(one_row({1, 4, 2, 4}, Normaliser::hardmax, set), (std::vector<float>{0, 1, 0, 0}));
    EXPECT_EQ(one_row({nan, 1, 2}, Normaliser::hardmax, set), (std::vector<float>{0, 0, 1}));
  }
}

TEST(Normalise, LargeHiddenAndBrokenScores) {
  for (const KernelSet set : available_kernels())
    for (const Normaliser normaliser : every) {
      EXPECT_EQ(one_row({-inf, -inf}, normaliser, set), (std::vector<float>{0, 0}));
      EXPECT_EQ(one_row({-inf, 1e30f, -1e30f}, normaliser, set), (std::vector<float>{0, 1, 0}));
      EXPECT_EQ(one_row({7}, normaliser, set), (std::vector<float>{1}));
      EXPECT_TRUE(std::isnan(one_row({nan, nan}, normaliser, set)[1]));
      if (normaliser != Normaliser::hardmax) {
        EXPECT_TRUE(std::isnan(one_row({1, nan, 2}, normaliser, set)[1]));
        EXPECT_TRUE(std::isnan(one_row({1, inf, 2}, normaliser, set)[1]));
      }
    }
}

TEST(Normalise, VectorsAgreeWithTheReferenceAtEveryLength) {
  for (const std::int64_t n : test::awkward_lengths())
    for (const Normaliser normaliser : every)
      for (const double spread : {0.05, 1.0, 20.0})
        for (const float temperature : {1.0f, 0.4f}) {
          const std::vector<float> x = normals(n, 30 + n, spread), g = normals(n, 31 + n);
          std::vector<double> z = test::widen(x), w(x.size()), d_w = test::widen(g), d_x(x.size());
          reference::normalise_row<double>(normaliser, temperature, n, z.data(), w.data());
          std::vector<double> p = w;
          const Normaliser slope = normaliser == Normaliser::hardmax ? Normaliser::softmax : normaliser;
          if (slope != normaliser)
            reference::normalise_row<double>(slope, temperature, n, z.data(), p.data());
          reference::normalise_row_backward<double>(slope, temperature, n, p.data(), d_w.data(), d_x.data());
          const Batch batch(1, {1}, {n});
          for (const KernelSet set : available_kernels()) {
            const std::string what = std::string(name_of(set)) + " n=" + std::to_string(n) + " normaliser " +
                                     std::to_string(int(normaliser)) + " spread " + std::to_string(spread);
            const std::vector<float> weights = weights_of(batch, x, normaliser, {}, temperature, set);
            test::expect_near(weights, w, 4e-6, what);
            const ExecutionOwner exec(1, set);
            std::vector<float> d_scores(x.size());
            normalise_backward(exec.get(), {batch.extents(), {}, normaliser, temperature}, x.data(),
                               weights.data(), g.data(), d_scores.data());
            test::expect_near(d_scores, d_x, 1e-5, what);
          }
        }
}

TEST(Normalise, GradientsByDifferences) {
  for (const Normaliser normaliser : {Normaliser::softmax, Normaliser::sparsemax})
    for (const std::int64_t n : {1, 2, 5, 12}) {
      std::vector<double> x = normals<double>(n, 50 + n), w(x.size()), d_x(x.size());
      const std::vector<double> g = normals<double>(n, 51 + n);
      const auto loss = [&] {
        reference::normalise_row<double>(normaliser, 0.7, n, x.data(), w.data());
        double sum = 0.0;
        for (std::size_t i = 0; i < w.size(); ++i) sum += g[i] * w[i];
        return sum;
      };
      loss();
      reference::normalise_row_backward<double>(normaliser, 0.7, n, w.data(), g.data(), d_x.data());
      test::expect_gradient("x", x, d_x, loss);
    }
}

TEST(Normalise, HardmaxSendsTheGradientOfSoftmax) {
  const Batch batch(2, {3}, {4});
  const std::vector<float> x = normals(24, 1), g = normals(24, 2);
  const ExecutionOwner exec(1);
  std::vector<float> hard(24), soft(24), d_hard(24), d_soft(24);
  NormaliseExtents n{batch.extents(), {.causal = true}, Normaliser::softmax, 0.8f};
  normalise_forward(exec.get(), n, x.data(), soft.data());
  normalise_backward(exec.get(), n, x.data(), soft.data(), g.data(), d_soft.data());
  n.normaliser = Normaliser::hardmax;
  normalise_forward(exec.get(), n, x.data(), hard.data());
  normalise_backward(exec.get(), n, x.data(), hard.data(), g.data(), d_hard.data());
  EXPECT_EQ(d_hard, d_soft);
  EXPECT_NE(hard, soft);
}

// Every rule of visibility written out once more, pair by pair.
bool visible(const Batch& batch, const PairVisibility& v, std::size_t b, std::int64_t h, std::int64_t t,
             std::int64_t j) {
  const std::int64_t i = v.alignment == RowAlignment::end ? t + batch.S[b] - batch.T[b] : t;
  bool seen = (!v.causal || j <= i) && (v.left < 0 || j >= i - v.left) && (v.right < 0 || j <= i + v.right);
  if (v.prefix) seen = seen || j < v.prefix[b];
  if (v.centre) {
    const float at = v.centre[(batch.q_start[b] + t) * v.centre_heads + (v.centre_heads > 1 ? h : 0)];
    seen = seen && std::abs(double(j) - std::nearbyint(at)) <= double(v.reach);
  }
  if (v.mask) {
    const std::int64_t head = v.mask_heads > 1 ? h : 0;
    seen = seen &&
           v.mask[batch.offset[b] / batch.heads * v.mask_heads + (head * batch.T[b] + t) * batch.S[b] + j];
  }
  return seen;
}

std::vector<PairVisibility> rules(const Batch& batch, const std::vector<std::int64_t>& prefix,
                                  const std::vector<float>& centre, const std::vector<std::uint8_t>& mask) {
  std::vector<PairVisibility> all;
  for (const auto alignment : {RowAlignment::end, RowAlignment::start})
    for (const bool causal : {false, true})
      for (const std::int64_t left : {-1, 0, 2})
        for (const std::int64_t right : {-1, 1}) {
          PairVisibility v;
          v.alignment = alignment, v.causal = causal, v.left = left, v.right = right;
          all.push_back(v);
          v.prefix = prefix.data();
          all.push_back(v);
          v.mask = mask.data();
          all.push_back(v);
          v.mask_heads = batch.heads;
          all.push_back(v);
          v.prefix = nullptr;
          v.centre = centre.data(), v.reach = 1;
          all.push_back(v);
          v.mask = nullptr, v.centre_heads = batch.heads, v.reach = 3;
          all.push_back(v);
        }
  return all;
}

TEST(Normalise, EveryRuleOfVisibility) {
  const Batch batch = test::ragged(2, 1);
  const std::vector<std::int64_t> prefix = {2, 1, 0, 0, 5, 20};
  std::vector<float> centre = normals(batch.query_rows * 2, 4, 6.0);
  centre[0] = nan, centre[1] = 1e30f, centre[2] = -1e30f, centre[4] = 2.5f;
  std::vector<std::uint8_t> mask(batch.pairs());
  for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = below(RandomKey::of(1, 0, 0), i, 3) != 0;
  const auto x = batch.extents();
  const std::vector<float> clean = normals(batch.offset.back(), 9), g = normals(batch.offset.back(), 10);
  int sighted = 0, blind = 0;
  for (const PairVisibility& v : rules(batch, prefix, centre, mask)) {
    std::vector<float> scores = clean, d_weights = g;
    std::vector<double> expected(scores.size()), slope(scores.size());
    batch.for_each_row([&](std::size_t b, std::int64_t h, std::int64_t t) {
      const auto at = static_cast<std::size_t>(x.row(std::int64_t(b), h, t));
      double sum = 0.0, mean = 0.0;
      for (std::int64_t j = 0; j < batch.S[b]; ++j)
        if (visible(batch, v, b, h, t, j)) sum += expected[at + j] = std::exp(double(scores[at + j]));
      (sum > 0 ? sighted : blind)++;
      for (std::int64_t j = 0; j < batch.S[b]; ++j) {
        if (sum > 0) expected[at + j] /= sum;
        mean += expected[at + j] * g[at + j];
        if (!visible(batch, v, b, h, t, j)) scores[at + j] = d_weights[at + j] = nan;  // never to be read
      }
      for (std::int64_t j = 0; j < batch.S[b]; ++j) slope[at + j] = expected[at + j] * (g[at + j] - mean);
    });
    for (const KernelSet set : available_kernels()) {
      const ExecutionOwner exec(1, set);
      const std::vector<float> weights = weights_of(batch, scores, Normaliser::softmax, v, 1.0f, set);
      test::expect_near(weights, expected, 1e-6, "weights");
      std::vector<float> d_scores = d_weights;  // in place
      normalise_backward(exec.get(), {x, v}, scores.data(), weights.data(), d_scores.data(), d_scores.data());
      test::expect_near(d_scores, slope, 2e-6, "d_scores");
    }
  }
  EXPECT_GT(sighted, 100);
  EXPECT_GT(blind, 100);
}

TEST(Normalise, BitsDependNeitherOnNeighboursNorThreads) {
  const Batch many(2, {130, 7}, {77, 300});
  const std::vector<float> scores = normals(many.offset.back(), 2);
  for (const Normaliser normaliser : every) {
    const auto one = weights_of(many, scores, normaliser, {}, 1.0f, default_kernels(), 1);
    EXPECT_EQ(one, weights_of(many, scores, normaliser, {}, 1.0f, default_kernels(), 4));
    const std::vector<float> second(scores.begin() + many.offset[1], scores.end());
    const auto alone = weights_of(Batch(2, {7}, {300}), second, normaliser);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), one.begin() + many.offset[1]));
  }
}

TEST(Normalise, AMillionKeys) {
  const std::int64_t n = 1'000'000;
  const std::vector<float> x = normals(n, 3);
  std::vector<double> z = test::widen(x), w(x.size());
  for (const Normaliser normaliser : every) {
    reference::normalise_row<double>(normaliser, 1.0, n, z.data(), w.data());
    const std::vector<float> weights = one_row(x, normaliser);
    double total = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      total += weights[i];
      ASSERT_NEAR(weights[i], w[i], 4e-6 * w[i] + 1e-12 + (normaliser == Normaliser::sparsemax ? 1e-6 : 0.0));
    }
    EXPECT_NEAR(total, 1.0, 2e-6);
  }
}

TEST(Normalise, EntropyAndItsGradient) {
  const Batch batch(1, {3}, {4});
  const std::vector<float> w = {1, 0, 0, 0, 0.25f, 0.25f, 0.25f, 0.25f, 0.5f, 0, 0, 0.5f};
  const ExecutionOwner exec(1);
  std::vector<float> entropy(3), d_w(12);
  row_entropy(exec.get(), batch.extents(), w.data(), entropy.data());
  test::expect_near(entropy, std::vector<double>{0, std::log(4.0), std::log(2.0)}, 1e-6, "entropy");
  const std::vector<float> d = {1, 2, 3};
  row_entropy_backward(exec.get(), batch.extents(), w.data(), d.data(), d_w.data());
  const double quarter = -2 * (1 + std::log(0.25)), half = -3 * (1 + std::log(0.5));
  test::expect_near(d_w,
                    std::vector<double>{-1, 0, 0, 0, quarter, quarter, quarter, quarter, half, 0, 0, half},
                    1e-6, "d_w");
}

TEST(Normalise, TemperatureMustBePositive) {
  EXPECT_THROW(weights_of(Batch(1, {1}, {2}), {1, 2}, Normaliser::softmax, {}, 0.0f), Error);
  EXPECT_THROW(weights_of(Batch(1, {1}, {2}), {1, 2}, Normaliser::softmax, {}, nan), Error);
}

}  // namespace
}  // namespace fovea::kernels
