#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

namespace fovea::kernels {

/// What a row of floats becomes as 8-bit integers: x = scale * q, |q| <= 127.
struct QuantisedRow {
  float scale = 0.0f;  ///< max |x| / 127; 0 if that maximum is below 2^-100; NaN if an element is not finite
  std::int32_t sum = 0;  ///< of the integers
};

/// q[k] = x[k] * 127 / max |x|, rounded to nearest even. Every step is one rounding of a float, so that all
/// instruction sets agree; loops of integers, so that the compiler makes vectors of them: it is inlined into
/// kernels compiled for each set. The integers of a row without scale are 0.
[[gnu::always_inline]] inline QuantisedRow quantise_row(const float* x, std::int64_t K, std::int8_t* q) {
  std::int32_t most = 0;
  for (std::int64_t k = 0; k < K; ++k) most = std::max(most, std::bit_cast<std::int32_t>(x[k]) & 0x7fffffff);
  const bool finite = most < 0x7f800000;
  const float maximum = std::bit_cast<float>(most);
  if (!finite || maximum < 0x1p-100f) {
    std::fill_n(q, K, std::int8_t{0});
    return {finite ? 0.0f : std::numeric_limits<float>::quiet_NaN(), 0};
  }
  // 1.5 * 2^23 leaves no bits for a fraction: adding it rounds, and its lowest byte is 0.
  const float factor = 127.0f / maximum, shift = 0x1.8p23f;
  std::int32_t sum = 0;
  for (std::int64_t k = 0; k < K; ++k) {
    const auto integer = static_cast<std::int8_t>(std::bit_cast<std::uint32_t>(x[k] * factor + shift) & 0xff);
    q[k] = integer;
    sum += integer;
  }
  return {maximum / 127.0f, sum};
}

}  // namespace fovea::kernels
