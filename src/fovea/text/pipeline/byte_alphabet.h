#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

/// The alphabet of byte-level tokenizers: every byte has a character that can be seen. Bytes 21-7E, A1-AC and
/// AE-FF stand for themselves, the others, in order, for U+0100, U+0101, ...
/// Source: openai/gpt-2, src/encoder.py, bytes_to_unicode.
namespace fovea::text::pipeline {

/// The character of a byte, in UTF-8.
std::string_view character_of_byte(unsigned char byte);

/// The byte of a character, or -1.
int byte_of_character(char32_t character);

}  // namespace fovea::text::pipeline
