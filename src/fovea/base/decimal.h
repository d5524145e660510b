#pragma once

#include <charconv>
#include <string>

namespace fovea {

/// `value` with `digits` decimals, correctly rounded, with a point in every locale; "inf" and "nan" as words.
inline std::string fixed(double value, int digits) {
  char buffer[400];  // the largest double has 309 digits before the point
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, digits).ptr;
  return {buffer, end};
}

}  // namespace fovea
