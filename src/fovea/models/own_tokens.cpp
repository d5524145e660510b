#include "fovea/models/own_tokens.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fovea::models {
namespace {

// Where the running sum of softmax(logits) passes `at`, in [0, 1). Logits are overwritten.
std::int32_t draw_one(std::span<float> logits, double at) {
  const float most = *std::ranges::max_element(logits);
  double sum = 0.0;
  for (float& x : logits) sum += static_cast<double>(x = std::exp(x - most));
  const double wanted = at * sum;
  double passed = 0.0;
  std::int32_t last = 0;  // what was possible, should rounding keep the sum below what is wanted
  for (std::size_t v = 0; v < logits.size(); ++v) {
    if (!(logits[v] > 0.0f)) continue;
    passed += static_cast<double>(logits[v]);
    last = static_cast<std::int32_t>(v);
    if (passed > wanted) break;
  }
  return last;
}

}  // namespace

std::vector<std::int32_t> OwnTokens::rows(std::int64_t step) const {
  std::vector<std::int32_t> own;
  if (step == 0) return own;
  for (std::int64_t r = 0; r < time_.rows(step); ++r)
    if (uniform(key_, element(step, r)) < share_) own.push_back(static_cast<std::int32_t>(r));
  return own;
}

std::vector<std::int32_t> OwnTokens::draw(const kernels::Execution& exec, std::int64_t step,
                                          std::span<const std::int32_t> rows, Tensor& logits) const {
  const auto count = static_cast<std::int64_t>(rows.size()), V = logits.dim(1);
  expect_shape(logits, {count, V}, "scheduled sampling: logits [rows, V]");
  std::vector<std::int32_t> tokens(rows.size());
  exec.pool->parallel_for(count, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const std::span row(logits.f32() + i * V, static_cast<std::size_t>(V));
      row[static_cast<std::size_t>(never_)] = -std::numeric_limits<float>::infinity();
      tokens[at] = draw_one(row, static_cast<double>(uniform(key_, element(step, rows[at]) + 1)));
    }
  });
  return tokens;
}

}  // namespace fovea::models
