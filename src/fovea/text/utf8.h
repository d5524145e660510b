#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// UTF-8 as the Unicode Standard defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
/// Source: The Unicode Standard, section 3.9, tables 3-7 and 3-8.
namespace fovea::text {

inline constexpr char32_t replacement_character = U'\uFFFD';
inline constexpr std::string_view replacement_utf8 = "\xEF\xBF\xBD";

/// One step of decoding. If `valid`, `code_point` was `length` bytes long. If not, `code_point` is U+FFFD and
/// `length` the size of the maximal subpart: the longest start of a well-formed sequence, or 1 byte.
struct Decoded {
  char32_t code_point = replacement_character;
  std::uint32_t length = 1;
  bool valid = false;
};

/// Decodes what stands at the beginning of `text`, which must not be empty.
Decoded decode_utf8(std::string_view text);

/// Appends a code point; U+FFFD for a surrogate or a value above U+10FFFF.
void append_utf8(std::string& out, char32_t code_point);

bool is_valid_utf8(std::string_view text);

/// Bytes that a sequence beginning with `lead` claims to have; 1 for bytes that begin none.
constexpr std::uint32_t claimed_length(unsigned char lead) {
  return lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/// Text with each maximal subpart of an ill-formed sequence replaced by U+FFFD, the practice Unicode
/// recommends.
struct Repaired {
  std::string text;
  std::size_t replaced = 0;      ///< how many replacements
  std::size_t first_offset = 0;  ///< byte offset of the first in the original; meaningful if replaced > 0
};
Repaired repair_utf8(std::string_view text);

}  // namespace fovea::text
