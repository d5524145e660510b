#include "fovea/formats/stored_type.h"

#include <array>
#include <bit>

namespace fovea::formats {
namespace {

struct Entry {
  std::string_view name;
  std::uint64_t bits;
};

// In the order of the enumeration.
constexpr std::array<Entry, 22> entries{{
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},
}};
static_assert(entries[static_cast<std::size_t>(StoredType::u64)].name == "U64");

const Entry& entry(StoredType type) { return entries[static_cast<std::size_t>(type)]; }

}  // namespace

std::string_view name_of(StoredType type) { return entry(type).name; }

std::uint64_t bits_of(StoredType type) { return entry(type).bits; }

std::optional<StoredType> stored_type(std::string_view name) {
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (entries[i].name == name) return static_cast<StoredType>(i);
  return std::nullopt;
}

float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1f;
  const std::uint32_t fraction = bits & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000 | (fraction << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float magnitude =
      static_cast<float>(fraction) * 0x1p-24F;  // zero and the subnormals: exact in a float
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

}  // namespace fovea::formats
