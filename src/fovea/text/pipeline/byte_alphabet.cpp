#include "fovea/text/pipeline/byte_alphabet.h"

namespace fovea::text::pipeline {
namespace {

struct Alphabet {
  std::array<std::array<char, 2>, 256> utf8{};
  std::array<std::uint8_t, 256> length{};
  std::array<std::int16_t, 0x180> byte{};
};

constexpr bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr Alphabet make_alphabet() {
  Alphabet out;
  out.byte.fill(-1);
  int other = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const int c = stands_for_itself(byte) ? byte : other++;
    const auto index = static_cast<std::size_t>(byte);
    out.byte[static_cast<std::size_t>(c)] = static_cast<std::int16_t>(byte);
    out.length[index] = c < 0x80 ? 1 : 2;
    out.utf8[index][0] = static_cast<char>(c < 0x80 ? c : 0xC0 | c >> 6);
    out.utf8[index][1] = static_cast<char>(0x80 | (c & 0x3F));
  }
  return out;
}

constexpr Alphabet alphabet = make_alphabet();

}  // namespace

std::string_view character_of_byte(unsigned char byte) {
  return {alphabet.utf8[byte].data(), alphabet.length[byte]};
}

int byte_of_character(char32_t character) {
  return character < alphabet.byte.size() ? alphabet.byte[static_cast<std::size_t>(character)] : -1;
}

}  // namespace fovea::text::pipeline
