#include "fovea/kernels/cache_layout.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "fovea/base/bfloat16.h"
#include "fovea/base/error.h"

namespace fovea::kernels {
namespace {

constexpr std::int64_t slots = CacheLayout::tile_slots;
constexpr std::int64_t scale_bytes = CacheLayout::scale_bytes;

// Where an element lies in its tile, counted in elements after the scales.
struct Whole {
  static std::int64_t key(std::int64_t d, std::int64_t slot) { return d * slots + slot; }
  static std::int64_t value(std::int64_t slot, std::int64_t e) {
    return e / 16 * (16 * slots) + slot * 16 + e % 16;
  }
};
struct Paired {
  static std::int64_t key(std::int64_t d, std::int64_t slot) {
    return d / 2 * (2 * slots) + slot * 2 + d % 2;
  }
  static std::int64_t value(std::int64_t slot, std::int64_t e) {
    return e / 16 * (16 * slots) + slot / 2 * 32 + e % 16 * 2 + slot % 2;
  }
};

template <class Index, class Element, class Round>
void store_key(std::byte* tile, std::int64_t slot, const float* x, std::int64_t count, std::int64_t padded,
               Round round) {
  auto* const elements = reinterpret_cast<Element*>(tile);
  for (std::int64_t d = 0; d < count; ++d) elements[Index::key(d, slot)] = round(x[d]);
  for (std::int64_t d = count; d < padded; ++d) elements[Index::key(d, slot)] = Element{};
}

template <class Index, class Element, class Round>
void store_value(std::byte* tile, std::int64_t slot, const float* x, std::int64_t count, std::int64_t padded,
                 Round round) {
  auto* const elements = reinterpret_cast<Element*>(tile);
  for (std::int64_t e = 0; e < count; ++e) elements[Index::value(slot, e)] = round(x[e]);
  for (std::int64_t e = count; e < padded; ++e) elements[Index::value(slot, e)] = Element{};
}

// max |x| / 127, NaN if an element is not finite.
float scale_of(const float* x, std::int64_t count) {
  float largest = 0.0f;
  bool finite = true;
  for (std::int64_t i = 0; i < count; ++i) {
    finite &= std::isfinite(x[i]);
    largest = std::max(largest, std::abs(x[i]));
  }
  return finite ? largest / 127.0f : std::numeric_limits<float>::quiet_NaN();
}

struct Quantise {
  float scale;
  std::int8_t operator()(float x) const {
    if (!(scale > 0.0f)) return 0;
    return static_cast<std::int8_t>(std::lrint(std::clamp(x / scale, -127.0f, 127.0f)));
  }
};

float& slot_scale(std::byte* tile, std::int64_t slot) { return reinterpret_cast<float*>(tile)[slot]; }

void store_slot(const CacheLayout& l, std::byte* key_tile, std::byte* value_tile, std::int64_t slot,
                const float* key, const float* value) {
  const std::int64_t E = l.key_width, Ev = l.value_width, rows = l.key_rows(), columns = l.value_columns();
  switch (l.dtype) {
    case DType::bf16: {
      const auto round = [](float x) { return bfloat16(x); };
      store_key<Paired, bfloat16>(key_tile, slot, key, E, rows, round);
      store_value<Paired, bfloat16>(value_tile, slot, value, Ev, columns, round);
      return;
    }
    case DType::i8: {
      const float key_scale = slot_scale(key_tile, slot) = scale_of(key, E);
      const float value_scale = slot_scale(value_tile, slot) = scale_of(value, Ev);
      store_key<Paired, std::int8_t>(key_tile + scale_bytes, slot, key, E, rows, Quantise{key_scale});
      store_value<Paired, std::int8_t>(value_tile + scale_bytes, slot, value, Ev, columns,
                                       Quantise{value_scale});
      return;
    }
    default: {
      const auto same = [](float x) { return x; };
      store_key<Whole, float>(key_tile, slot, key, E, rows, same);
      store_value<Whole, float>(value_tile, slot, value, Ev, columns, same);
    }
  }
}

// Element `whole` or `paired` (its index in either order) of a tile.
float element(const CacheLayout& l, const std::byte* tile, std::int64_t slot, std::int64_t whole,
              std::int64_t paired) {
  if (l.dtype == DType::f32) return reinterpret_cast<const float*>(tile)[whole];
  if (l.dtype == DType::bf16) return static_cast<float>(reinterpret_cast<const bfloat16*>(tile)[paired]);
  return reinterpret_cast<const float*>(tile)[slot] *
         static_cast<float>(reinterpret_cast<const std::int8_t*>(tile + scale_bytes)[paired]);
}

}  // namespace

void validate(const CacheLayout& l) {
  const auto expect = [](bool holds, const std::string& what) {
    if (!holds) throw Error(Error::Kind::bug, "key-value cache", what);
  };
  expect(l.dtype == DType::f32 || l.dtype == DType::bf16 || l.dtype == DType::i8,
         "keys and values cannot be " + std::string(name_of(l.dtype)) + "; f32, bf16 and i8 can");
  expect(l.kv_heads > 0 && l.key_width > 0 && l.value_width > 0,
         "H = " + std::to_string(l.kv_heads) + ", E = " + std::to_string(l.key_width) + " and " +
             std::to_string(l.value_width) + " must be positive");
  expect(l.page_tokens > 0 && l.page_tokens % slots == 0,
         "a page of " + std::to_string(l.page_tokens) + " tokens is not a multiple of 16");
}

void store_tokens(const CacheLayout& layout, std::byte* page, std::int64_t slot, std::int64_t count,
                  const HeadRows& keys, const HeadRows& values) {
  for (std::int64_t h = 0; h < layout.kv_heads; ++h)
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t tile = (slot + i) / slots;
      store_slot(layout, page + layout.key_tile(h, tile), page + layout.value_tile(h, tile),
                 (slot + i) % slots, keys.data + i * keys.strides.row + h * keys.strides.head,
                 values.data + i * values.strides.row + h * values.strides.head);
    }
}

void load_token(const CacheLayout& layout, const std::byte* page, std::int64_t slot, std::int64_t head,
                float* key, float* value) {
  const std::byte* const keys = page + layout.key_tile(head, slot / slots);
  const std::byte* const values = page + layout.value_tile(head, slot / slots);
  const std::int64_t i = slot % slots;
  for (std::int64_t d = 0; d < layout.key_width; ++d)
    key[d] = element(layout, keys, i, Whole::key(d, i), Paired::key(d, i));
  for (std::int64_t e = 0; e < layout.value_width; ++e)
    value[e] = element(layout, values, i, Whole::value(i, e), Paired::value(i, e));
}

void copy_tiles(const CacheLayout& from_layout, const std::byte* from, std::int64_t from_tile,
                const CacheLayout& to_layout, std::byte* to, std::int64_t to_tile, std::int64_t tiles) {
  for (std::int64_t h = 0; h < from_layout.kv_heads; ++h) {
    std::memmove(to + to_layout.key_tile(h, to_tile), from + from_layout.key_tile(h, from_tile),
                 static_cast<std::size_t>(tiles * from_layout.key_tile_bytes()));
    std::memmove(to + to_layout.value_tile(h, to_tile), from + from_layout.value_tile(h, from_tile),
                 static_cast<std::size_t>(tiles * from_layout.value_tile_bytes()));
  }
}

void copy_value_tile(const CacheLayout& l, const std::byte* from, std::int64_t first, std::int64_t last,
                     std::byte* to) {
  std::memcpy(to, from, static_cast<std::size_t>(l.value_tile_bytes()));
  const std::int64_t columns = l.value_columns();
  for (std::int64_t slot = 0; slot < slots; ++slot) {
    if (slot >= first && slot < last) continue;
    if (l.dtype == DType::i8) {
      slot_scale(to, slot) = 0.0f;  // times integers, which are all finite
      continue;
    }
    for (std::int64_t e = 0; e < columns; ++e)
      if (l.dtype == DType::f32)
        reinterpret_cast<float*>(to)[Whole::value(slot, e)] = 0.0f;
      else
        reinterpret_cast<std::uint16_t*>(to)[Paired::value(slot, e)] = 0;
  }
}

}  // namespace fovea::kernels
