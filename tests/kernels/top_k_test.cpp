#include "fovea/kernels/top_k.h"

#include <algorithm>
#include <numeric>

#include "fovea/base/error.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

constexpr float infinity = std::numeric_limits<float>::infinity();
using Ids = std::vector<std::int32_t>;

struct Answer {
  std::vector<double> log_probs;
  Ids ids;
};

/// By sorting all ids of a row.
Answer expected(const std::vector<float>& logits, std::int64_t N, std::int64_t V, std::int64_t k,
                const Ids& banned) {
  Answer answer;
  for (std::int64_t n = 0; n < N; ++n) {
    const float* x = logits.data() + n * V;
    Ids ids;
    for (std::int32_t v = 0; v < V; ++v)
      if (std::find(banned.begin(), banned.end(), v) == banned.end()) ids.push_back(v);
    double max = -infinity, sum = 0;
    for (const auto v : ids) max = std::max(max, double(x[v]));
    for (const auto v : ids) sum += std::exp(x[v] - max);
    const auto rank = [&](std::int32_t v) { return std::isnan(x[v]) ? -infinity : x[v]; };
    std::stable_sort(ids.begin(), ids.end(), [&](auto a, auto b) { return rank(a) > rank(b); });
    for (std::int64_t i = 0; i < k; ++i) {
      const auto v = ids[static_cast<std::size_t>(i)];
      answer.ids.push_back(v);
      answer.log_probs.push_back(x[v] - (max + std::log(sum)));
    }
  }
  return answer;
}

void check(const Execution& exec, const std::vector<float>& logits, std::int64_t N, std::int64_t V,
           std::int64_t k, const Ids& banned, std::size_t offset = 0) {
  const auto what =
      std::string(name_of(exec.kernels)) + " V " + std::to_string(V) + " k " + std::to_string(k);
  const auto answer = expected(logits, N, V, k, banned);
  Unaligned in(logits, offset), log_probs(N * k, 0);
  Ids ids(static_cast<std::size_t>(N * k), -5);
  top_k_log_softmax(exec, N, V, k, in.data(), banned.data(), static_cast<std::int64_t>(banned.size()),
                    log_probs.data(), ids.data());
  EXPECT_EQ(ids, answer.ids) << what;
  expect_near(log_probs.values(), answer.log_probs, 1e-6, what);
}

TEST(TopK, IsThatOfSortingAtAwkwardWidths) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    auto widths = awkward_lengths();
    widths.push_back(10007);
    for (const std::int64_t V : widths)
      for (const std::int64_t k : {1, 2, 10, 64})
        if (k <= V) check(owner.get(), normals(3 * V, 1, 3.0), 3, V, k, {}, static_cast<std::size_t>(V % 4));
    check(owner.get(), {}, 0, 9, 3, {});
    check(owner.get(), normals(9, 1), 1, 9, 0, {});
  }
}

TEST(TopK, BannedIdsAreAbsent) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    const std::int64_t V = 2500;
    auto logits = normals(2 * V, 5, 2.0);
    for (const std::int32_t best : {0, 100, 101, 2499}) logits[static_cast<std::size_t>(best)] = 20.0f;
    check(owner.get(), logits, 2, V, 10, {2499});
    check(owner.get(), logits, 2, V, 10, {101, 0, 2499, 100, 101});  // any order, twice
    check(owner.get(), logits, 2, V, 10, {-3, 2500, 7});             // ids of no entry
    check(owner.get(), normals(5, 1), 1, 5, 2, {0, 1, 3});           // all that is left
  }
}

TEST(TopK, TiesGoToTheSmallerId) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    check(owner.get(), std::vector<float>(3000, 0.25f), 1, 3000, 20, {3});
    std::vector<float> coarse = normals(3000, 2);
    for (float& x : coarse) x = std::round(x);
    check(owner.get(), coarse, 1, 3000, 64, {});
    std::vector<float> rising(3000);
    std::iota(rising.begin(), rising.end(), 0.0f);  // every element enters
    check(owner.get(), rising, 1, 3000, 64, {});
  }
}

TEST(TopK, NaNAndInfinityGiveDistinctIds) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    auto logits = normals(2000, 6);
    std::fill(logits.begin() + 3, logits.end(), -infinity);  // fewer finite ones than k
    check(owner.get(), logits, 1, 2000, 10, {4});
    check(owner.get(), std::vector<float>(50, -infinity), 1, 50, 10, {});
    logits = normals(2000, 6);
    for (const std::size_t v : {0u, 1u, 900u, 1999u}) logits[v] = NAN;
    check(owner.get(), logits, 1, 2000, 10, {});
    check(owner.get(), std::vector<float>(50, NAN), 1, 50, 10, {0});
    logits[77] = infinity;
    check(owner.get(), logits, 1, 2000, 10, {});
  }
}

TEST(TopK, RefusesAKThatCannotBe) {
  const ExecutionOwner owner(1);
  const auto logits = normals(100, 1);
  const Ids banned{1, 2};
  std::vector<float> log_probs(200);
  Ids ids(200);
  for (const std::int64_t k : {-1, 65, 99})
    EXPECT_THROW(top_k_log_softmax(owner.get(), 1, 100, k, logits.data(), banned.data(), 2, log_probs.data(),
                                   ids.data()),
                 Error);
  EXPECT_THROW(
      top_k_log_softmax(owner.get(), 1, 3, 2, logits.data(), banned.data(), 2, log_probs.data(), ids.data()),
      Error);
}

}  // namespace
}  // namespace fovea::kernels
