#pragma once

#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// Neighbouring query rows first .. first + count - 1 that look at one sentence: a decoder's hypotheses of
/// it.
struct BeamQueries {
  std::int64_t first = 0, count = 0;
  std::int64_t length = 0;        ///< S: keys and values of the sentence
  const float* keys = nullptr;    ///< as store_beam_keys writes them
  const float* values = nullptr;  ///< [S, H Ev] with row stride BeamExtents::value_stride
};

struct BeamExtents {
  const BeamQueries* sentences = nullptr;
  std::int64_t count = 0;                                       ///< of sentences
  std::int64_t heads = 0, key_width = 0, value_width = 0;       ///< H, E, Ev
  std::int64_t q_stride = 0, value_stride = 0, out_stride = 0;  ///< floats from row to row
  float scale = 1.0f;                                           ///< multiplies q.k
};

/// Floats that the keys of a sentence take: tiles of 16 keys, [H][tiles][E][16], lanes side by side.
std::int64_t beam_key_floats(std::int64_t heads, std::int64_t key_width, std::int64_t length);
/// Writes them from k [S, H E] with row stride `k_stride`, on the calling thread; all kernel sets alike.
void store_beam_keys(KernelSet set, std::int64_t heads, std::int64_t key_width, std::int64_t length,
                     const float* k, std::int64_t k_stride, float* to);

/// out[t,h] = sum_j w[j] v[j,h],  w = softmax_j(scale * q[t,h].k[j,h]) over the S keys of t's sentence.
/// Keys and values are read once for up to four of its queries. A row's bits depend on its own query and
/// sentence alone, not on the rows beside it nor on threads. `weights`, if given, receives w: row after row,
/// each [H, S]. A sentence without keys gives zeros.
/// Cost  count * S (E + Ev) multiply-adds a head. Uses slot 3 of the workspace.
/// Source  Vaswani et al. 2017, section 3.2.1
void beam_attention(const Execution& exec, const BeamExtents& extents, const float* q, float* out,
                    float* weights = nullptr);

}  // namespace fovea::kernels
