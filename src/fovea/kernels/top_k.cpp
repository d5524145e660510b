#include "fovea/kernels/top_k.h"

#include <algorithm>
#include <bit>
#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/attention_simd.h"
#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/row_blocks.h"
#include "fovea/kernels/top_k_selection.h"

// Lanes of x whose bit is set, of `rest` elsewhere.
namespace fovea::kernels::cpu::plain {
inline Floats keep_lanes(unsigned bits, Floats x, Floats rest) {
  for (int i = 0; i < width; ++i) rest.lane[i] = bits >> i & 1 ? x.lane[i] : rest.lane[i];
  return rest;
}
}  // namespace fovea::kernels::cpu::plain
FOVEA_TARGET_AVX2
namespace fovea::kernels::cpu::avx2 {
inline Floats keep_lanes(unsigned bits, Floats x, Floats rest) {
  const __m256i lanes = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i set = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), lanes);
  return {_mm256_blendv_ps(rest.v, x.v, _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, lanes)))};
}
}  // namespace fovea::kernels::cpu::avx2
FOVEA_TARGET_END
FOVEA_TARGET_AVX512
namespace fovea::kernels::cpu::avx512 {
inline Floats keep_lanes(unsigned bits, Floats x, Floats rest) {
  return {_mm512_mask_mov_ps(rest.v, static_cast<__mmask16>(bits), x.v)};
}
}  // namespace fovea::kernels::cpu::avx512
FOVEA_TARGET_END

#define FOVEA_BODY "fovea/kernels/cpu/top_k.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {
namespace reference {

BlockSum scan_block(const float* x, std::int64_t count, const std::uint64_t* allowed, std::int32_t first,
                    TopKSelection& best) {
  const auto is_allowed = [&](std::int64_t v) { return !allowed || (allowed[v / 64] >> (v % 64) & 1); };
  BlockSum total;
  double sum = 0.0;
  for (std::int64_t v = 0; v < count; ++v)
    if (is_allowed(v)) total.max = std::max(total.max, x[v]);
  for (std::int64_t v = 0; v < count; ++v) {
    if (!is_allowed(v)) continue;
    sum += std::exp(static_cast<double>(x[v]) - total.max);
    if (x[v] > best.threshold()) best.insert(x[v], first + static_cast<std::int32_t>(v));
  }
  total.sum = static_cast<float>(sum);
  return total;
}

}  // namespace reference

namespace {

double log_of_sums(const BlockSum* blocks, std::int64_t count) {
  double max = std::numeric_limits<float>::lowest(), sum = 0.0;
  for (std::int64_t b = 0; b < count; ++b) max = std::max<double>(max, blocks[b].max);
  for (std::int64_t b = 0; b < count; ++b) sum += blocks[b].sum * std::exp(blocks[b].max - max);
  return max + std::log(sum);
}

// A bitmap of all columns but `banned`, in scratch memory; how many there are.
std::int64_t allow_others(const std::int32_t* banned, std::int64_t count, std::int64_t V,
                          std::uint64_t* allowed) {
  std::fill_n(allowed, V / 64 + 1, ~std::uint64_t{0});
  std::int64_t left = V;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int32_t id = banned[i];
    if (id < 0 || id >= V) continue;
    const std::uint64_t bit = std::uint64_t{1} << (id % 64);
    left -= (allowed[id / 64] & bit) != 0;
    allowed[id / 64] &= ~bit;
  }
  return left;
}

}  // namespace

ScanBlock scan_block_of(KernelSet set) {
  return choose(set, &reference::scan_block, &cpu::plain::scan_block, &cpu::avx2::scan_block,
                &cpu::avx512::scan_block);
}

void write_top_k(const TopKChoice& choice, std::int64_t V, std::int64_t row, const BlockSum* blocks,
                 const TopKSelection& best, float* log_probs, std::int32_t* ids) {
  const double log_sum = log_of_sums(blocks, top_k_blocks(V));
  float* value = log_probs + row * choice.k;
  std::int32_t* id = ids + row * choice.k;
  const auto write = [&](float logit, std::int32_t column) {
    *value++ = static_cast<float>(logit - log_sum);
    *id++ = choice.names ? choice.names[column] : column;
  };
  for (int i = 0; i < best.size(); ++i) write(best.value(i), best.column(i));
  // Whatever exceeds -infinity has been selected by now, where that is fewer than k.
  const std::uint64_t* allowed = allowed_from(choice, row, 0, V);
  std::int64_t left = choice.k - best.size();
  for (std::int32_t v = 0; v < V && left > 0; ++v) {
    if (allowed && !(allowed[v / 64] >> (v % 64) & 1)) continue;
    bool selected = false;
    for (int i = 0; i < best.size(); ++i) selected |= best.column(i) == v;
    if (selected) continue;
    write(-std::numeric_limits<float>::infinity(), v);
    --left;
  }
  for (; left > 0; --left) {
    *value++ = -std::numeric_limits<float>::infinity();
    *id++ = -1;
  }
}

void check_top_k(std::int64_t k, const char* where) {
  if (k < 0 || k > top_k_limit)
    throw Error(Error::Kind::bug, where,
                "k = " + std::to_string(k) + ", and at most " + std::to_string(top_k_limit));
}

void top_k_log_softmax(const Execution& exec, std::int64_t N, std::int64_t V, const TopKChoice& choice,
                       const float* logits, float* log_probs, std::int32_t* ids) {
  check_top_k(choice.k, "top_k_log_softmax");
  if (choice.k == 0 || N == 0) return;
  const ScanBlock scan = scan_block_of(exec.kernels);
  const std::int64_t blocks = top_k_blocks(V);
  auto* sums =
      reinterpret_cast<BlockSum*>(exec.workspace->get(0, 7, static_cast<std::size_t>(2 * N * blocks)));
  exec.pool->parallel_for(N, rows_a_thread(V), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      TopKSelection best(choice.k);
      for (std::int64_t b = 0; b < blocks; ++b) {
        const std::int64_t first = b * top_k_block, count = std::min(top_k_block, V - first);
        sums[n * blocks + b] = scan(logits + n * V + first, count, allowed_from(choice, n, first, count),
                                    static_cast<std::int32_t>(first), best);
      }
      write_top_k(choice, V, n, sums + n * blocks, best, log_probs, ids);
    }
  });
}

void top_k_log_softmax(const Execution& exec, std::int64_t N, std::int64_t V, std::int64_t k,
                       const float* logits, const std::int32_t* banned, std::int64_t banned_count,
                       float* log_probs, std::int32_t* ids) {
  const auto words = static_cast<std::size_t>(V / 64 + 1), rows = static_cast<std::size_t>(N);
  auto* scratch = reinterpret_cast<std::uint64_t*>(exec.workspace->get(0, 6, 2 * (words + rows)));
  const std::int64_t left = allow_others(banned, banned_count, V, scratch);
  if (k > left)
    throw Error(Error::Kind::bug, "top_k_log_softmax",
                "k = " + std::to_string(k) + " of " + std::to_string(left) + " ids");
  auto* allowed = reinterpret_cast<const std::uint64_t**>(scratch + words);
  std::fill_n(allowed, rows, scratch);
  top_k_log_softmax(exec, N, V, {k, left < V ? allowed : nullptr, nullptr}, logits, log_probs, ids);
}

}  // namespace fovea::kernels
