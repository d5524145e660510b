#pragma once

#include <cstddef>
#include <cstdint>

#include "fovea/base/dtype.h"
#include "fovea/kernels/attention.h"

namespace fovea::kernels {

/// How the keys and values of a cache lie in memory: pages of `page_tokens` slots, each page head after head,
/// each head its keys in tiles of 16 slots, then its values. A tile is what the kernel multiplies without a
/// shuffle: lanes are slots in a tile of keys, columns in a tile of values, and 16-bit and 8-bit elements lie
/// in the pairs that the processor's dot products add up.
///
///            tile of keys                              tile of values (columns padded to 16 with zeros)
///   f32      [E][16 slots]                             [Ev/16][16 slots][16 columns]
///   bf16     [E/2][16 slots][2 elements]               [Ev/16][8 pairs of slots][16 columns][2 slots]
///   i8       [16 scales f32], then as bf16             [16 scales f32], then as bf16
///
/// With i8 an element is scale * integer, one scale a slot and head: max |x| / 127, NaN if an element is not
/// finite. An odd E is padded by a zero in bf16 and i8.
struct CacheLayout {
  static constexpr std::int64_t tile_slots = 16;
  static constexpr std::int64_t scale_bytes = 64;  ///< of a tile

  DType dtype = DType::f32;  ///< f32, bf16 or i8
  std::int64_t kv_heads = 1;
  std::int64_t key_width = 0;     ///< E
  std::int64_t value_width = 0;   ///< Ev
  std::int64_t page_tokens = 16;  ///< a multiple of 16

  std::int64_t key_rows() const { return dtype == DType::f32 ? key_width : (key_width + 1) / 2 * 2; }
  std::int64_t value_columns() const { return (value_width + 15) / 16 * 16; }
  std::int64_t key_tile_bytes() const {
    const std::int64_t elements = key_rows() * tile_slots;
    if (dtype == DType::i8) return scale_bytes + (elements + 63) / 64 * 64;
    return elements * static_cast<std::int64_t>(size_of(dtype));
  }
  std::int64_t value_tile_bytes() const {
    return value_columns() * tile_slots * static_cast<std::int64_t>(size_of(dtype)) +
           (dtype == DType::i8 ? scale_bytes : 0);
  }
  std::int64_t tiles() const { return page_tokens / tile_slots; }  ///< of a page
  std::int64_t head_bytes() const { return tiles() * (key_tile_bytes() + value_tile_bytes()); }
  std::int64_t page_bytes() const { return kv_heads * head_bytes(); }

  /// Offsets in a page.
  std::int64_t key_tile(std::int64_t head, std::int64_t tile) const {
    return head * head_bytes() + tile * key_tile_bytes();
  }
  std::int64_t value_tile(std::int64_t head, std::int64_t tile) const {
    return head * head_bytes() + tiles() * key_tile_bytes() + tile * value_tile_bytes();
  }
};

/// Throws Error(bug) unless the layout is one: dtype f32, bf16 or i8, positive heads and widths, pages of
/// whole tiles.
void validate(const CacheLayout& layout);

/// Rows of floats whose heads lie as `strides` says.
struct HeadRows {
  const float* data = nullptr;
  HeadStrides strides;
};

/// Writes `count` tokens into slots slot .. slot + count - 1 of a page, rounded to the layout's dtype (bf16
/// to nearest even, i8 as above).
void store_tokens(const CacheLayout& layout, std::byte* page, std::int64_t slot, std::int64_t count,
                  const HeadRows& keys, const HeadRows& values);

/// What a slot holds for one head, widened: keys [E], values [Ev].
void load_token(const CacheLayout& layout, const std::byte* page, std::int64_t slot, std::int64_t head,
                float* key, float* value);

/// Copies `tiles` whole tiles of all heads between pages whose layouts differ in page_tokens alone.
void copy_tiles(const CacheLayout& from_layout, const std::byte* from, std::int64_t from_tile,
                const CacheLayout& to_layout, std::byte* to, std::int64_t to_tile, std::int64_t tiles);

/// Copies a tile of values, with zeros for slots outside [first, last).
void copy_value_tile(const CacheLayout& layout, const std::byte* from, std::int64_t first, std::int64_t last,
                     std::byte* to);

}  // namespace fovea::kernels
