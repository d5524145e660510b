#include "fovea/kernels/normalise_monotonic.h"

#include <gtest/gtest.h>

#include <limits>

#include "fovea/base/error.h"
#include "fovea/kernels/reference/normalise_monotonic.h"
#include "tests/kernels/finite_difference.h"
#include "tests/kernels/random_pairs.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using test::Batch;
using test::normals;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
using Row = std::vector<double>;

// The definition, without recursion over keys (Raffel et al. 2017, equation 8):
//   alpha[t,j] = p[j] sum_{k<=j} alpha[t-1,k] prod_{k<=l<j} (1 - p[l])
Row definition(const Row& p, const Row& previous) {
  Row alpha(p.size());
  for (std::size_t j = 0; j < p.size(); ++j)
    for (std::size_t k = 0; k <= j; ++k) {
      double passed = previous[k];
      for (std::size_t l = k; l < j; ++l) passed *= 1 - p[l];
      alpha[j] += p[j] * passed;
    }
  return alpha;
}

Row delta(std::size_t S) {
  Row row(S);
  if (S > 0) row[0] = 1.0;
  return row;
}

Row probabilities(std::int64_t S, std::uint64_t seed) {
  Row p = normals<double>(S, seed);
  for (double& value : p) value = 1 / (1 + std::exp(-value));
  return p;
}

std::vector<float> alpha_of(const MonotonicExtents& x, const std::vector<float>& scores, KernelSet set,
                            int threads = 1) {
  const ExecutionOwner exec(threads, set);
  std::vector<float> p(scores.size(), nan), alpha(scores.size(), nan);
  monotonic_probabilities(exec.get(), x, scores.data(), p.data());
  monotonic_forward(exec.get(), x, p.data(), alpha.data());
  return alpha;
}

TEST(Monotonic, ByHand) {
  // p = 1/2 everywhere: the first output stops at 1/2, 1/4, 1/8; the second at 1/4, then
  // (1/4 + 1/4)/2 = 1/4, then (1/4 + 1/8)/2 = 3/16. An eighth and 5/16 pass the end.
  const Batch batch(1, {2}, {3});
  for (const MonotonicMode mode : {MonotonicMode::recursive, MonotonicMode::parallel})
    for (const KernelSet set : available_kernels())
      test::expect_near(alpha_of({batch.extents(), {}, mode}, std::vector<float>(6, 0.0f), set),
                        Row{0.5, 0.25, 0.125, 0.25, 0.25, 0.1875}, 1e-6, std::string(name_of(set)));
}

TEST(Monotonic, HardGoesOnFromWhereItStopped) {
  const Batch batch(1, {5}, {4});
  const std::vector<float> scores = {-1, 1, 1,  -1,  // stops at 1, the first above
                                     1,  1, -1, -1,  // before 1 nothing counts; 1 again
                                     1,  0, -1, 2,   // 0 is p = 1/2, not above
                                     1,  1, 1,  -1,  // nothing from 3 on
                                     1,  1, 1,  1};  // and never again
  const std::vector<float> expected = {0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0};
  for (const KernelSet set : available_kernels())
    EXPECT_EQ(alpha_of({batch.extents(), {}, MonotonicMode::hard}, scores, set), expected) << name_of(set);
}

TEST(Monotonic, HardIsTheLimitOfSoft) {
  const Batch batch(2, {6}, {9});
  std::vector<float> scores = normals(batch.offset.back(), 4, 3e4);
  for (const KernelSet set : available_kernels())
    test::expect_near(alpha_of({batch.extents(), {}, MonotonicMode::recursive}, scores, set),
                      alpha_of({batch.extents(), {}, MonotonicMode::hard}, scores, set), 1e-6, "");
}

TEST(Monotonic, RaggedBatchesAgreeWithTheDefinitionAndPassOverHiddenKeys) {
  const Batch batch = test::ragged(2, 1);
  const auto x = batch.extents();
  PairVisibility causal;
  causal.causal = true;
  for (const PairVisibility& visible : {PairVisibility{}, causal})
    for (const MonotonicMode mode : {MonotonicMode::recursive, MonotonicMode::parallel}) {
      std::vector<float> scores = normals(batch.offset.back(), 6);
      if (mode == MonotonicMode::parallel)
        for (float& score : scores) score -= 2.0f;  // so that the product is not clipped
      Row expected(scores.size()), before;
      batch.for_each_row([&](std::size_t b, std::int64_t h, std::int64_t t) {
        const auto S = static_cast<std::size_t>(batch.S[b]);
        const auto at = static_cast<std::size_t>(x.row(std::int64_t(b), h, t));
        const VisibleKeys keys = visible_keys(x, visible, std::int64_t(b), h, t);
        Row p(S);
        for (std::size_t j = 0; j < S; ++j)
          if (keys.sees(std::int64_t(j)))
            p[j] = 1 / (1 + std::exp(-double(scores[at + j])));
          else
            scores[at + j] = nan;
        before = definition(p, t == 0 ? delta(S) : before);
        std::copy(before.begin(), before.end(), expected.begin() + std::ptrdiff_t(at));
      });
      for (const KernelSet set : available_kernels())
        for (const int threads : {1, 3})
          test::expect_near(alpha_of({x, visible, mode}, scores, set, threads), expected, 3e-6,
                            std::string(name_of(set)));
    }
}

// Where the product of 1 - p falls below its bound the parallel form loses the mass; the recursion does not.
TEST(Monotonic, TheRecursionStaysExactWhereTheParallelFormIsClipped) {
  const Batch batch(1, {2}, {60});
  std::vector<float> scores(120, 1.0f);
  std::fill(scores.begin(), scores.begin() + 59, -20.0f);  // the first row goes to the last key
  scores[59] = 20.0f;
  std::fill(scores.begin() + 60, scores.begin() + 119, 5.0f);
  const auto exact = alpha_of({batch.extents(), {}, MonotonicMode::recursive}, scores, default_kernels());
  const auto clipped = alpha_of({batch.extents(), {}, MonotonicMode::parallel}, scores, default_kernels());
  EXPECT_NEAR(exact[119], 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_LT(clipped[119], 0.1);
}

TEST(Monotonic, RowByRowIsTheSameAsAllRows) {
  const Batch all(2, {4, 3}, {5, 6}), step(2, {1, 1}, {5, 6});
  const std::vector<float> scores = normals(all.offset.back(), 7);
  const std::vector<std::int64_t> offset = {0, 10};
  for (const MonotonicMode mode : {MonotonicMode::recursive, MonotonicMode::parallel, MonotonicMode::hard}) {
    const auto whole = alpha_of({all.extents(), {}, mode}, scores, default_kernels());
    std::vector<float> previous;
    for (std::int64_t t = 0; t < 3; ++t) {
      std::vector<float> now;
      for (std::int64_t b = 0; b < 2; ++b)
        for (std::int64_t h = 0; h < 2; ++h)
          for (std::int64_t j = 0; j < all.S[b]; ++j) now.push_back(scores[all.extents().row(b, h, t) + j]);
      MonotonicExtents x{step.extents(), {}, mode};
      x.previous = t > 0 ? previous.data() : nullptr;
      x.previous_offset = offset.data();
      previous = alpha_of(x, now, default_kernels());
      for (std::int64_t b = 0; b < 2; ++b)
        for (std::int64_t h = 0; h < 2; ++h)
          for (std::int64_t j = 0; j < all.S[b]; ++j)
            ASSERT_EQ(previous[step.extents().row(b, h, 0) + j], whole[all.extents().row(b, h, t) + j]);
    }
  }
}

TEST(Monotonic, GradientsOfARowByDifferences) {
  for (const bool parallel : {false, true})
    for (const std::int64_t S : {1, 2, 7}) {
      Row p = probabilities(S, 60 + S), previous = probabilities(S, 61 + S), d_p(p.size()),
          d_previous(p.size());
      const Row g = normals<double>(S, 62 + S);
      Row alpha(p.size()), scratch(2 * p.size());
      const auto loss = [&] {
        if (parallel)
          reference::monotonic_parallel_row(S, p.data(), previous.data(), scratch.data(), alpha.data());
        else
          reference::monotonic_row(S, p.data(), previous.data(), alpha.data());
        double sum = 0;
        for (std::size_t j = 0; j < p.size(); ++j) sum += g[j] * alpha[j];
        return sum;
      };
      if (parallel)
        reference::monotonic_parallel_row_backward(S, p.data(), previous.data(), g.data(), scratch.data(),
                                                   d_p.data(), d_previous.data());
      else
        reference::monotonic_row_backward(S, p.data(), previous.data(), g.data(), scratch.data(), d_p.data(),
                                          d_previous.data());
      test::expect_gradient("p", p, d_p, loss);
      test::expect_gradient("previous", previous, d_previous, loss);
    }
}

TEST(Monotonic, BackwardOfEverySetIsThatOfTheReference) {
  const Batch batch(2, {3, 20}, {5, 37});
  const std::vector<float> scores = normals(batch.offset.back(), 1), g = normals(batch.offset.back(), 2);
  for (const MonotonicMode mode : {MonotonicMode::recursive, MonotonicMode::parallel}) {
    std::vector<float> first;
    for (const KernelSet set : available_kernels())
      for (const int threads : {1, 2}) {
        const ExecutionOwner exec(threads, set);
        const MonotonicExtents x{batch.extents(), {}, mode};
        std::vector<float> p(scores.size()), alpha = p, d_scores = p;
        monotonic_probabilities(exec.get(), x, scores.data(), p.data());
        monotonic_forward(exec.get(), x, p.data(), alpha.data());
        monotonic_backward(exec.get(), x, p.data(), alpha.data(), g.data(), d_scores.data(), nullptr);
        if (first.empty()) first = d_scores;
        test::expect_near(d_scores, first, 2e-5, std::string(name_of(set)));
      }
  }
}

TEST(Monotonic, NoiseHasItsDeviationAndBelongsToPairs) {
  const Batch batch(1, {100}, {100}), later(1, {1, 100}, {3, 100});
  MonotonicExtents x{batch.extents(), {}};
  x.noise = 2.0f;
  x.key = RandomKey::of(3, 4, 1001);
  const ExecutionOwner exec(2);
  std::vector<float> p(batch.pairs()), again(p);
  monotonic_probabilities(exec.get(), x, std::vector<float>(p.size(), 0.5f).data(), p.data());
  double sum = 0.0, squares = 0.0;
  for (const float value : p) {
    const double noise = std::log(value / (1.0 - value)) - 0.5;
    sum += noise, squares += noise * noise;
  }
  EXPECT_NEAR(sum / double(p.size()), 0.0, 0.06);
  EXPECT_NEAR(std::sqrt(squares / double(p.size())), 2.0, 0.05);
  monotonic_probabilities(exec.get(), x, std::vector<float>(p.size(), 0.5f).data(), again.data());
  EXPECT_EQ(p, again);
  x.key.update = 5;
  monotonic_probabilities(exec.get(), x, std::vector<float>(p.size(), 0.5f).data(), again.data());
  EXPECT_NE(p, again);
}

// Chiu and Raffel 2018, equation 26, term by term.
Row chunk_definition(std::int64_t width, const Row& alpha, const Row& u) {
  const auto S = static_cast<std::int64_t>(u.size());
  Row beta(u.size());
  for (std::int64_t j = 0; j < S; ++j)
    for (std::int64_t k = j; k < std::min(S, j + width); ++k) {
      double sum = 0;
      for (std::int64_t m = std::max<std::int64_t>(0, k - width + 1); m <= k; ++m) sum += std::exp(u[m]);
      beta[j] += alpha[k] * std::exp(u[j]) / sum;
    }
  return beta;
}

TEST(Chunkwise, AgreesWithTheDefinition) {
  const Batch batch(2, {4}, {11});
  const std::vector<float> u = normals(batch.offset.back(), 2, 2.0);
  const auto x = batch.extents();
  const auto alpha = alpha_of({x, {}}, normals(batch.offset.back(), 1), default_kernels());
  for (const std::int64_t width : {1, 2, 4, 30}) {
    Row expected(alpha.size());
    batch.for_each_row([&](std::size_t b, std::int64_t h, std::int64_t t) {
      const auto at = x.row(std::int64_t(b), h, t);
      const Row row = chunk_definition(width, {alpha.begin() + at, alpha.begin() + at + 11},
                                       {u.begin() + at, u.begin() + at + 11});
      std::copy(row.begin(), row.end(), expected.begin() + at);
    });
    const ExecutionOwner exec(2);
    std::vector<float> beta(alpha.size());
    chunkwise_forward(exec.get(), x, {}, width, alpha.data(), u.data(), beta.data());
    test::expect_near(beta, expected, 1e-6, "width " + std::to_string(width));
    EXPECT_EQ(beta == alpha, width == 1);
  }
  const ExecutionOwner exec(1);
  EXPECT_THROW(chunkwise_forward(exec.get(), x, {}, 0, nullptr, nullptr, nullptr), Error);
}

TEST(Chunkwise, GradientsByDifferences) {
  const std::int64_t S = 7;
  const std::uint8_t mask[] = {1, 1, 0, 1, 1, 1, 1};
  const VisibleKeys keys{0, 0, 6, mask};
  for (const std::int64_t width : {1, 3, 9}) {
    Row alpha = probabilities(S, 1), u = normals<double>(S, 2), beta(7), d_alpha(7), d_u(7);
    const Row g = normals<double>(S, 3);
    const auto loss = [&] {
      reference::chunkwise_row(keys, S, width, alpha.data(), u.data(), beta.data());
      double sum = 0;
      for (std::size_t j = 0; j < 7; ++j) sum += g[j] * beta[j];
      return sum;
    };
    loss();
    EXPECT_EQ(beta[2], 0.0);
    EXPECT_EQ(beta[6], 0.0);
    reference::chunkwise_row_backward(keys, S, width, alpha.data(), u.data(), g.data(), d_alpha.data(),
                                      d_u.data());
    test::expect_gradient("alpha", alpha, d_alpha, loss);
    test::expect_gradient("u", u, d_u, loss);
  }
}

}  // namespace
}  // namespace fovea::kernels
