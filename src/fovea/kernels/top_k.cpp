#include "fovea/kernels/top_k.h"

#include <algorithm>
#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/softmax_block.h"
#include "fovea/kernels/row_blocks.h"
#include "fovea/kernels/top_k_selection.h"

#define FOVEA_BODY "fovea/kernels/cpu/top_k.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {
namespace reference {

/// Rows begin .. end - 1 of top_k_log_softmax, the best found k times over.
void top_k_log_softmax(const TopK& a, std::int64_t begin, std::int64_t end) {
  const auto banned = [&](std::int64_t v) {
    return std::binary_search(a.banned, a.banned + a.banned_count, static_cast<std::int32_t>(v));
  };
  constexpr double nothing = -std::numeric_limits<double>::infinity();
  for (std::int64_t n = begin; n < end; ++n) {
    const float* x = a.logits + n * a.V;
    const auto rank = [&](std::int64_t v) { return std::isnan(x[v]) ? nothing : double(x[v]); };
    double max = nothing, sum = 0;
    for (std::int64_t v = 0; v < a.V; ++v)
      if (!banned(v)) max = std::max(max, rank(v));
    for (std::int64_t v = 0; v < a.V; ++v)
      if (!banned(v)) sum += std::exp(x[v] - max);
    for (std::int64_t i = 0; i < a.k; ++i) {
      const std::int32_t* taken = a.ids + n * a.k;
      std::int64_t best = -1;
      for (std::int64_t v = 0; v < a.V; ++v)
        if (!banned(v) && std::find(taken, taken + i, v) == taken + i && (best < 0 || rank(v) > rank(best)))
          best = v;
      a.log_probs[n * a.k + i] = static_cast<float>(x[best] - (max + std::log(sum)));
      a.ids[n * a.k + i] = static_cast<std::int32_t>(best);
    }
  }
}

}  // namespace reference

namespace {

/// The banned ids in [0, V), sorted and once each, in scratch memory.
std::int64_t sort_banned(const std::int32_t* banned, std::int64_t count, std::int64_t V,
                         std::int32_t* sorted) {
  std::int32_t* end =
      std::copy_if(banned, banned + count, sorted, [V](std::int32_t id) { return id >= 0 && id < V; });
  std::sort(sorted, end);
  return std::unique(sorted, end) - sorted;
}

}  // namespace

void top_k_log_softmax(const Execution& exec, std::int64_t N, std::int64_t V, std::int64_t k,
                       const float* logits, const std::int32_t* banned, std::int64_t banned_count,
                       float* log_probs, std::int32_t* ids) {
  static_assert(sizeof(std::int32_t) == sizeof(float));
  void* scratch = exec.workspace->get(0, 7, static_cast<std::size_t>(banned_count) + 1);
  auto* sorted = new (scratch) std::int32_t[static_cast<std::size_t>(banned_count) + 1];
  const std::int64_t absent = sort_banned(banned, banned_count, V, sorted);
  if (k < 0 || k > top_k_limit || k > V - absent)
    throw Error(Error::Kind::bug, "top_k_log_softmax",
                "k = " + std::to_string(k) + " of " + std::to_string(V - absent) + " ids, and at most " +
                    std::to_string(top_k_limit));
  if (k == 0) return;
  const auto rows = choose(exec.kernels, &reference::top_k_log_softmax, &cpu::plain::top_k_log_softmax,
                           &cpu::avx2::top_k_log_softmax, &cpu::avx512::top_k_log_softmax);
  const TopK arguments{V, k, logits, sorted, absent, log_probs, ids};
  exec.pool->parallel_for(N, rows_a_thread(V),
                          [&](std::int64_t begin, std::int64_t end) { rows(arguments, begin, end); });
}

}  // namespace fovea::kernels
