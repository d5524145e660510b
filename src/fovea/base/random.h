#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace fovea {

/// Random numbers by counter: the value at a position is a function of (seed, update, site, element) alone.
/// There is no stream state to save, and threads, tiles and order do not matter.
/// Source: Philox4x32, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011. Seven rounds pass
/// BigCrush there; vector kernels repeat exactly this arithmetic.
struct RandomKey {
  std::uint32_t low = 0;   ///< Philox key, word 0
  std::uint32_t high = 0;  ///< Philox key, word 1
  std::uint32_t update = 0;
  std::uint32_t site = 0;  ///< which place of the program draws: each dropout, each initialisation has its own

  static RandomKey of(std::uint64_t seed, std::uint32_t update, std::uint32_t site) {
    return {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32), update, site};
  }
};

/// Four random words for block `block` of a key: counter = (block low, block high, update, site).
constexpr std::array<std::uint32_t, 4> philox(const RandomKey& key, std::uint64_t block) {
  std::uint32_t c0 = static_cast<std::uint32_t>(block), c1 = static_cast<std::uint32_t>(block >> 32);
  std::uint32_t c2 = key.update, c3 = key.site, k0 = key.low, k1 = key.high;
  for (int round = 0; round < 7; ++round) {
    const std::uint64_t p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

/// Random word of element `element`: word (element mod 4) of block (element div 4).
constexpr std::uint32_t random_word(const RandomKey& key, std::uint64_t element) {
  return philox(key, element / 4)[element % 4];
}

/// Uniform in [0, 1), 24 bits.
inline float uniform(const RandomKey& key, std::uint64_t element) {
  return static_cast<float>(random_word(key, element) >> 8) * 0x1p-24f;
}

/// Standard normal, by Box and Muller from words 2*element and 2*element + 1.
inline float normal(const RandomKey& key, std::uint64_t element) {
  const double u = (static_cast<double>(random_word(key, 2 * element)) + 1.0) * 0x1p-32;
  const double v = static_cast<double>(random_word(key, 2 * element + 1)) * 0x1p-32;
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v));
}

/// Uniform in [0, bound), for bound < 2^32, without bias that could be seen (multiply and shift).
inline std::uint32_t below(const RandomKey& key, std::uint64_t element, std::uint32_t bound) {
  return static_cast<std::uint32_t>((std::uint64_t{random_word(key, element)} * bound) >> 32);
}

/// Sites used outside modules; modules number theirs from `first_module`.
namespace site {
inline constexpr std::uint32_t shuffle = 1, initialise = 2, sample = 3, first_module = 1000;
}

/// Dropout of a run of elements: 16 random bits each.
/// Elements go in chunks of 128 so that vectors need no shuffles: with r = element mod 128, the bits of an element are
/// half (r/16 mod 2: 0 the low half, 1 the high one) of word r/32 of Philox block 16*(element/128) + r mod 16.
/// Kept if bits >= threshold, threshold = round(p * 65536); a kept value is scaled by 65536 / (65536 - threshold).
struct Dropout {
  float p = 0.0f;  ///< share that is dropped, below 1; 0 = off
  RandomKey key{};

  bool active() const { return p > 0.0f; }
  std::uint32_t threshold() const { return static_cast<std::uint32_t>(std::lround(p * 65536.0f)); }
  float scale() const { return 65536.0f / static_cast<float>(65536 - threshold()); }
  bool keeps(std::uint64_t element) const {
    const std::uint64_t r = element % 128;
    const std::uint32_t word = philox(key, element / 128 * 16 + r % 16)[r / 32];
    return ((r / 16) % 2 == 0 ? (word & 0xffff) : (word >> 16)) >= threshold();
  }
  /// 0 if dropped, scale() if kept.
  float multiplier(std::uint64_t element) const { return keeps(element) ? scale() : 0.0f; }
};

}  // namespace fovea
