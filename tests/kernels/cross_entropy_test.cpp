#include "fovea/kernels/cross_entropy.h"

#include "fovea/base/error.h"
#include "fovea/kernels/reference/cross_entropy.h"
#include "tests/kernels/finite_difference.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<std::int32_t> random_targets(std::int64_t N, std::int64_t V) {
  std::vector<std::int32_t> targets;
  for (std::int64_t n = 0; n < N; ++n)
    targets.push_back(static_cast<std::int32_t>(
        below(RandomKey::of(4, 0, 0), static_cast<std::uint64_t>(n), static_cast<std::uint32_t>(V))));
  return targets;
}

struct Answer {
  std::vector<double> logits, losses, nll;
};

Answer expected(const CrossEntropyExtents& extents, std::vector<double> logits,
                const std::vector<std::int32_t>& targets) {
  Answer out{std::move(logits), std::vector<double>(targets.size()), std::vector<double>(targets.size())};
  reference::cross_entropy<double>(
      {extents, out.logits.data(), targets.data(), out.losses.data(), out.nll.data()}, 0, extents.N);
  return out;
}

void check(const Execution& exec, const CrossEntropyExtents& extents, const std::vector<float>& logits,
           const std::vector<std::int32_t>& targets, std::size_t offset = 0) {
  const auto what = std::string(name_of(exec.kernels)) + " V " + std::to_string(extents.V);
  const auto answer = expected(extents, widen(logits), targets);
  Unaligned in(logits, offset), losses(extents.N, 0), nll(extents.N, 0);
  cross_entropy(exec, extents, in.data(), targets.data(), losses.data(), nll.data());
  // exp errs by 2e-7 of a term, and the sum's lanes add up to V/W terms of at most 1.
  expect_near(losses.values(), answer.losses, 1e-6, what + " loss");
  expect_near(nll.values(), answer.nll, 1e-6, what + " nll");
  expect_near(in.values(), answer.logits, 1e-6 * std::abs(extents.weight), what + " gradient");
}

TEST(CrossEntropy, IsTheReferenceAtAwkwardWidths) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    auto widths = awkward_lengths();
    widths.push_back(10007);
    widths.push_back(70001);  // above 64 blocks of 1,024
    for (const std::int64_t V : widths)
      for (const float smoothing : {0.0f, 0.1f})
        for (const bool gradient : {false, true})
          check(owner.get(), {3, V, smoothing, 1.5f, gradient}, normals(3 * V, 1, 3.0), random_targets(3, V),
                static_cast<std::size_t>(V % 4));
    check(owner.get(), {0, 7}, {}, {});
  }
}

TEST(CrossEntropy, GradientIsThatOfCentralDifferences) {
  const std::int64_t N = 3, V = 9;
  for (const float smoothing : {0.0f, 0.25f}) {
    const CrossEntropyExtents extents{N, V, smoothing, 0.5f, true};
    auto logits = normals<double>(N * V, 2, 2.0);
    const auto targets = random_targets(N, V);
    const auto gradient = expected(extents, logits, targets).logits;
    expect_gradient("logits", logits, gradient, [&] {
      double total = 0;
      for (const double loss : expected(extents, logits, targets).losses) total += extents.weight * loss;
      return total;
    });
  }
}

TEST(CrossEntropy, H02_ExtremeLogits) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    for (const float smoothing : {0.0f, 0.1f}) {
      check(owner.get(), {1, 1, smoothing}, {3.0f}, {0});  // V = 1: loss and gradient 0
      check(owner.get(), {2, 3, smoothing}, {1e4f, -1e4f, 0.0f, 1e4f, -1e4f, 0.0f}, {0, 1});
      check(owner.get(), {1, 2, smoothing}, {3e38f, 3e38f}, {1});
      check(owner.get(), {2, 2, smoothing}, {1e30f, -1e30f, -1e30f, 1e30f}, {0, 0});
      auto rising = normals(5000, 3);  // each block of 1,024 exceeds those before it by far
      for (std::size_t v = 0; v < rising.size(); ++v) rising[v] += static_cast<float>(v / 1024) * 200.0f;
      check(owner.get(), {1, 5000, smoothing}, rising, {4999});
      auto falling = rising;
      std::reverse(falling.begin(), falling.end());
      check(owner.get(), {1, 5000, smoothing}, falling, {4999});
    }
    auto masked = normals(3000, 4);  // the first block sees nothing
    std::fill(masked.begin(), masked.begin() + 1500, -infinity);
    check(owner.get(), {1, 3000, 0.0f}, masked, {2000});
    check(owner.get(), {1, 3000, 0.0f}, masked, {7});  // infinite loss, finite gradient
    check(owner.get(), {1, 3000, 0.1f}, masked, {2000});
  }
}

TEST(CrossEntropy, H05_NaNInfinityAndNothingVisibleGiveNaN) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    for (const float bad : {NAN, infinity}) {
      for (const std::size_t place : {0u, 17u, 1500u, 2998u}) {
        auto logits = normals(3000, 4);
        logits[place] = bad;
        std::vector<float> loss(1), nll(1);
        const std::vector<std::int32_t> target{5};
        cross_entropy(owner.get(), {1, 3000, 0.1f}, logits.data(), target.data(), loss.data(), nll.data());
        EXPECT_TRUE(std::isnan(loss[0])) << name_of(set) << " " << bad << " at " << place;
        EXPECT_TRUE(std::isnan(nll[0]));
        for (const float g : logits) ASSERT_TRUE(std::isnan(g));
      }
    }
    check(owner.get(), {1, 40}, std::vector<float>(40, -infinity), {3});
  }
}

TEST(CrossEntropy, RefusesTargetsOutsideTheVocabulary) {
  const ExecutionOwner owner(1);
  std::vector<float> logits(10), losses(2);
  for (const std::int32_t bad : {-1, 5, 1000000}) {
    const std::vector<std::int32_t> targets{0, bad};
    try {
      cross_entropy(owner.get(), {2, 5}, logits.data(), targets.data(), losses.data(), nullptr);
      FAIL() << "accepted " << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::bug);
      EXPECT_NE(std::string(error.what()).find("row 1"), std::string::npos) << error.what();
    }
  }
}

TEST(CrossEntropy, RowsDoNotDependOnThreadsOrEachOther) {
  const std::int64_t N = 37, V = 1501;
  const auto logits = normals(N * V, 1, 3.0);
  const auto targets = random_targets(N, V);
  const auto run = [&](int threads) {
    const ExecutionOwner owner(threads);
    auto all = logits;
    all.resize(logits.size() + static_cast<std::size_t>(N));
    cross_entropy(owner.get(), {N, V, 0.1f}, all.data(), targets.data(), all.data() + N * V, nullptr);
    return all;
  };
  const auto alone = run(1);
  EXPECT_EQ(run(3), alone);
  const ExecutionOwner owner(1);
  std::vector<float> row(logits.begin() + 5 * V, logits.begin() + 6 * V), loss(1);
  cross_entropy(owner.get(), {1, V, 0.1f}, row.data(), targets.data() + 5, loss.data(), nullptr);
  EXPECT_EQ(loss[0], alone[static_cast<std::size_t>(N * V + 5)]);
  EXPECT_TRUE(std::equal(row.begin(), row.end(), alone.begin() + 5 * V));
}

}  // namespace
}  // namespace fovea::kernels
