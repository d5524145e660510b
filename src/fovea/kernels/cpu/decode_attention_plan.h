#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "fovea/kernels/decode_attention.h"

/// What decoding attention's vector code shares across instruction sets: a call, how its keys are cut, and
/// what each type of cache supplies.
namespace fovea::kernels::cpu {

struct DecodeCall {
  const Execution& exec;
  const DecodeExtents& x;
  const CacheView& cache;
  const float* q;
  float *out, *log_sum_exp;
  std::int64_t lse_stride;
};

/// Keys whose scores are held at once: a multiple of the tile.
inline constexpr std::int64_t block_slots = 256;
inline constexpr std::int64_t block_tiles = block_slots / CacheLayout::tile_slots;
/// Parts that a sequence's keys are cut into at most: what threads share, and what is merged.
inline constexpr std::int64_t most_spans = 32;

inline constexpr std::int64_t least_blocks = 2;  // of a span

struct KeyRange {
  std::int64_t begin, end;
};

/// Positions that query t of sequence b sees.
inline KeyRange visible_keys(const DecodeExtents& x, const CacheView& cache, std::int64_t b, std::int64_t t) {
  const std::int64_t length = cache.length[b], position = length - x.q_count[b] + t;
  const std::int64_t end = x.causal ? std::clamp<std::int64_t>(position + 1, 0, length) : length;
  const std::int64_t begin = std::max(cache.first[b], x.window_left >= 0 ? position - x.window_left : 0);
  return {std::min(std::max<std::int64_t>(begin, 0), end), end};
}

/// A sequence's blocks of keys (of all its queries together) and how they make spans: a function of the
/// sequence's own length, queries and window.
struct SpanPlan {
  std::int64_t first_block, end_block, blocks_a_span, spans;

  SpanPlan(const DecodeExtents& x, const CacheView& cache, std::int64_t b) {
    const std::int64_t T = x.q_count[b];
    const KeyRange oldest = visible_keys(x, cache, b, 0), newest = visible_keys(x, cache, b, T - 1);
    first_block = oldest.begin / block_slots;
    end_block = (newest.end + block_slots - 1) / block_slots;
    const std::int64_t blocks = T > 0 ? std::max<std::int64_t>(0, end_block - first_block) : 0;
    blocks_a_span = std::max(least_blocks, (blocks + most_spans - 1) / most_spans);
    spans = T > 0 ? std::max<std::int64_t>(1, (blocks + blocks_a_span - 1) / blocks_a_span) : 0;
  }
};

/// Where arithmetic keeps the processor from looking far enough ahead by itself (five query rows
/// or more in f32, three in bf16, and i8, which is little memory for much arithmetic), tiles are asked for
/// into the second cache some 8 kB before they are read (at E = 64). Elsewhere asking costs more than it
/// brings: a plain run through memory is what the processor foresees best. (All measured on Zen 4.)
inline constexpr std::int64_t f32_ahead = 2, bf16_ahead = 4, i8_ahead = 8;  // tiles
inline constexpr std::int64_t fetch_ahead = 8;                              // the most of them

inline void fetch_line(const std::byte* tile, std::int64_t line) {
  __builtin_prefetch(tile + line * 64, 0, 2);
}
/// For kernels of R query rows, of which those from `least` on ask.
template <int R, int least>
inline void fetch_line_from(const std::byte* tile, std::int64_t line) {
  if constexpr (R >= least) fetch_line(tile, line);
}

/// What a type of cache supplies: products of a few query rows with tiles. Behind the `count` entries of
/// `tiles` are fetch_ahead more, what will be read next; behind those of keys also all `count` of values.
/// Scores and weights are [rows][block_slots].
struct DecodeTiles {
  int rows;  ///< query rows served at once, at most
  /// A query row in the form that `scores` reads, 64-byte padded, and what its scores are to be multiplied
  /// by.
  void (*prepare)(const CacheLayout& layout, const float* q, std::byte* to, float* factor);
  void (*scores)(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count,
                 const std::byte* q, int rows, float* scores, float* scratch);
  /// out[r][:] += sum_j weights[r][j] value[j]; rows of out are value_columns() apart. May change the
  /// weights.
  void (*mix)(const CacheLayout& layout, const std::byte* const* tiles, std::int64_t count, float* weights,
              int rows, float* out, float* scratch);
};

/// Bytes of a prepared query row: a multiple of 64.
inline std::int64_t prepared_bytes(const CacheLayout& layout) {
  return (layout.key_rows() * 4 + 63) / 64 * 64;
}

/// Floats of scratch that `scores` and `mix` may use.
inline std::int64_t tile_scratch(const CacheLayout& layout) {
  return 16 * std::max(layout.key_rows(), layout.value_columns());
}

namespace plain {
void decode_attention(const DecodeCall& call);
}
namespace avx2 {
void decode_attention(const DecodeCall& call);
}
namespace avx512 {
void decode_attention(const DecodeCall& call);
}

/// For processors with has_16_bit_dot(): products of pairs of 16 bits.
namespace avx512_dot16 {
extern const DecodeTiles bf16_tiles, i8_tiles;
}

}  // namespace fovea::kernels::cpu
