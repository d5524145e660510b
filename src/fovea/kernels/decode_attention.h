#pragma once

#include <cstddef>
#include <cstdint>

#include "fovea/kernels/cache_layout.h"
#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// The pages of a batch of sequences. Position j of sequence b (its token number j, from 0) lies in slot
/// (j - first[b]) % page_tokens of page pages[page_start[b] + (j - first[b]) / page_tokens]; positions before
/// first[b] have been given up. One page of any size a sequence is a contiguous cache.
struct CacheView {
  CacheLayout layout;
  const std::byte* const* pages = nullptr;
  const std::int64_t* page_start = nullptr;  ///< [sequences]
  const std::int64_t* first = nullptr;       ///< [sequences], multiples of 16
  const std::int64_t* length = nullptr;      ///< [sequences] tokens seen so far, given up ones included
};

/// A call of attention over cached keys and values: a few queries a sequence, its newest tokens. Query t of
/// the T = q_count[b] of sequence b lies in row q_start[b] + t of q and out and has position
/// i = length[b] - T + t.
struct DecodeExtents {
  std::int64_t sequences = 0;
  std::int64_t heads = 0;  ///< query heads H; the cache's heads divide it, and neighbours share a key head
  HeadStrides q, out;
  const std::int64_t* q_start = nullptr;  ///< [sequences]
  const std::int64_t* q_count = nullptr;
  bool causal = true;                    ///< query at position i sees keys j <= i; else all
  std::int64_t window_left = -1;         ///< and j >= i - window_left, unless negative
  float scale = 1.0f;                    ///< multiplies q.k
  float soft_cap = 0.0f;                 ///< c > 0: scores s become c tanh(s/c), before the bias
  const float* sinks = nullptr;          ///< [H]: one more score in the sum, with no value
  const float* distance_bias = nullptr;  ///< [H][distances], added: element min(max(i - j, 0), distances - 1)
  std::int64_t distances = 0;
};

/// out[t,h] = sum_j w[j] v[j],  w = softmax_j(cap(scale * q[t,h].k[j,h/G]) + bias[h][i-j]) over visible j,
/// G = H / cached heads. Each key and value is read once for the G query heads that share it.
/// log_sum_exp, if given, is [H, rows of q] with row stride `lse_stride`: log of the softmax's denominator,
/// sink included. A row that sees nothing gives zeros (log_sum_exp = -infinity, or its sink). Slots that are
/// not visible are never multiplied: a NaN there does not leak. A sequence's bits depend on its own lengths
/// and operands, on no neighbour, not on threads, pages or what has been given up: its keys are cut at
/// multiples of 256 into at most 32 spans of 512 or more, which threads share and which are merged in order.
/// Arithmetic  f32 with a cache of f32. With bf16 and a processor that has its dot product, queries and
/// weights are rounded to bf16 and sums are f32; with i8, queries and weights are rounded to 16 bits and sums
/// of 256 products are exact. Elsewhere keys and values are widened to f32.
/// Cost  S (E + Ev) elements read a key head; bound by memory up to G of about 8.
/// Throws Error(bug) if the cached heads do not divide H, widths are not positive, or an option is out of
/// range. Source  Vaswani et al. 2017, section 3.2.1; Shazeer 2019 (multi-query), Ainslie et al. 2023
/// (grouped); split over keys: Dao et al. 2023 (Flash-Decoding); pages: Kwon et al. 2023.
void decode_attention(const Execution& exec, const DecodeExtents& extents, const CacheView& cache,
                      const float* q, float* out, float* log_sum_exp = nullptr, std::int64_t lse_stride = 0);

}  // namespace fovea::kernels
