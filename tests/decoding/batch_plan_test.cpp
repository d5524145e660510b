#include "fovea/decoding/batch_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "fovea/base/error.h"
#include "fovea/base/random.h"

namespace fovea::decoding {
namespace {

using Plan = std::vector<std::vector<std::size_t>>;

std::vector<std::int64_t> random_lengths(std::size_t count) {
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < count; ++i) lengths.push_back(below(RandomKey::of(3, 0, 7), i, 50));
  return lengths;
}

TEST(BatchPlan, SortsLongestFirstAndCutsByTokensAndRows) {
  const std::vector<std::int64_t> lengths{3, 9, 1, 4, 4, 2};
  EXPECT_EQ(plan_batches(lengths, {.max_tokens = 9}), (Plan{{1}, {3, 4}, {0, 5, 2}}));
  EXPECT_EQ(plan_batches(lengths, {.max_tokens = 100, .max_rows = 4}), (Plan{{1, 3, 4, 0}, {5, 2}}));
  EXPECT_EQ(plan_batches(lengths, {.max_tokens = 100, .window = 2}), (Plan{{1, 0}, {3, 2}, {4, 5}}));
  EXPECT_EQ(plan_batches(lengths, {.max_tokens = 1}), (Plan{{1}, {3}, {4}, {0}, {5}, {2}}));
  EXPECT_EQ(plan_batches({}), Plan{});
}

TEST(BatchPlan, EverySentenceOnceWithinTheBounds) {
  const auto lengths = random_lengths(1000);
  for (const std::int64_t window : {1, 7, 100, 5000}) {
    std::vector<bool> seen(lengths.size());
    for (const auto& batch : plan_batches(lengths, {.max_tokens = 200, .max_rows = 16, .window = window})) {
      std::int64_t tokens = 0;
      for (const auto i : batch) {
        EXPECT_FALSE(seen[i]);
        seen[i] = true;
        tokens += lengths[i];
      }
      EXPECT_LE(tokens, 200);
      EXPECT_LE(batch.size(), 16u);
      EXPECT_GE(batch.size(), 1u);
      EXPECT_LE(*std::max_element(batch.begin(), batch.end()) / static_cast<std::size_t>(window),
                *std::min_element(batch.begin(), batch.end()) / static_cast<std::size_t>(window));
    }
    EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](bool once) { return once; }));
  }
}

TEST(BatchPlan, InOrderPutsResultsBack) {
  const auto lengths = random_lengths(300);
  const Plan plan = plan_batches(lengths, {.max_tokens = 100, .window = 64});
  const auto results = in_order(plan, plan);  // each sentence's result is its own index
  ASSERT_EQ(results.size(), 300u);
  for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i], i);
}

TEST(BatchPlan, OptionsBelowOneAreRefused) {
  for (const auto& options : {BatchPlanOptions{.max_tokens = 0}, {.max_rows = 0}, {.window = -1}})
    EXPECT_THROW(plan_batches({}, options), Error);
}

}  // namespace
}  // namespace fovea::decoding
