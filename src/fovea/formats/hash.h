#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace fovea::formats {

/// XXH64 with seed 0: finds damage in our own files; no defence against an adversary.
/// Source: Yann Collet, xxHash specification, version 0.1.1, "XXH64 algorithm description".
class Xxh64 {
 public:
  void update(std::span<const std::byte> bytes);
  /// Of all bytes so far.
  std::uint64_t digest() const;
  /// As 16 lower-case hexadecimal digits.
  std::string hex() const;

 private:
  static constexpr std::size_t stripe = 32;
  void consume(const std::byte* stripe_bytes);

  std::array<std::uint64_t, 4> lanes_{0x60ea27eeadc0b5d6, 0xc2b2ae3d27d4eb4f, 0, 0x61c8864e7a143579};
  std::array<std::byte, stripe> buffer_{};
  std::size_t buffered_ = 0;
  std::uint64_t total_ = 0;
};

/// Of one block.
std::uint64_t xxh64(std::span<const std::byte> bytes);

}  // namespace fovea::formats
