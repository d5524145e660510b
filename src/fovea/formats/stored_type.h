#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace fovea::formats {

/// The element types of safetensors, in ascending order of alignment: the reference writer stores them in the
/// reverse.
enum class StoredType : std::uint8_t {
  boolean,
  f4,
  f6_e2m3,
  f6_e3m2,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,
  f64,
  i64,
  u64
};

/// As the file spells it: "F32".
std::string_view name_of(StoredType type);
/// Bits of one element; 4 and 6 occur.
std::uint64_t bits_of(StoredType type);
/// The type of that name, if there is one. Names are in capitals.
std::optional<StoredType> stored_type(std::string_view name);

/// IEEE half precision, 1 sign, 5 exponent, 10 significand bits, as a float: exact.
float half_to_float(std::uint16_t bits);

}  // namespace fovea::formats
