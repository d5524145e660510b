#include "fovea/decoding/batch_plan.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <string_view>

#include "fovea/base/error.h"

namespace fovea::decoding {
namespace {

void expect_positive(std::int64_t value, std::string_view name) {
  if (value < 1) throw Error(Error::Kind::usage, name, "is " + std::to_string(value), "use at least 1");
}

}  // namespace

std::vector<std::vector<std::size_t>> plan_batches(std::span<const std::int64_t> lengths,
                                                   const BatchPlanOptions& options) {
  expect_positive(options.max_tokens, "batch tokens");
  expect_positive(options.max_rows, "batch rows");
  expect_positive(options.window, "window");
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<std::vector<std::size_t>> plan;
  for (std::size_t begin = 0; begin < order.size();) {
    const std::size_t count =
        std::min<std::size_t>(order.size() - begin, static_cast<std::size_t>(options.window));
    const auto window = std::span(order).subspan(begin, count);
    std::stable_sort(window.begin(), window.end(), [&](auto a, auto b) { return lengths[a] > lengths[b]; });
    std::int64_t tokens = 0;
    bool open = false;
    for (const std::size_t sentence : window) {
      const bool full = open && (static_cast<std::int64_t>(plan.back().size()) >= options.max_rows ||
                                 lengths[sentence] > options.max_tokens - tokens);
      if (!open || full) plan.emplace_back(), tokens = 0;
      open = true;
      plan.back().push_back(sentence);
      tokens += lengths[sentence];
    }
    begin += count;
  }
  return plan;
}

}  // namespace fovea::decoding
