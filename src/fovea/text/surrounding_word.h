#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fovea::text {

/// The word of a normalised text (U+2581 for spaces) that a piece of it is in, the `length` bytes from
/// `begin`: with U+2581 in front if a space is before it, without the punctuation around it. A piece that is
/// nothing but such punctuation stands for itself, and so does one in a script that puts no spaces between
/// words (ideographs, kana, Thai); such characters end the words of others. Empty for a piece of spaces with
/// no word behind.
std::string surrounding_word(std::string_view text, std::size_t begin, std::size_t length);

}  // namespace fovea::text
