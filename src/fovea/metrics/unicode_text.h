#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Text as Python's `str` sees it, because SacreBLEU's figures depend on it: code points, its white space,
/// its lower case.
namespace fovea::metrics {

/// Code points of UTF-8; every byte sequence that is not UTF-8 becomes U+FFFD.
std::u32string decode_utf8(std::string_view bytes);
std::string encode_utf8(std::u32string_view text);

/// `str.lower()`: full Unicode lower case of no language in particular, with the final sigma (ΣΑΣ -> σας)
/// and the dotted capital I as two code points (İ -> i̇), whatever the locale of the process.
std::u32string lower(std::u32string_view text);

/// White space of `str.split()`: U+0009-000D, 001C-0020, 0085, 00A0, 1680, 2000-200A, 2028, 2029, 202F, 205F,
/// 3000.
bool is_space(char32_t c);
std::u32string_view strip_right(std::u32string_view text);
std::u32string_view strip(std::u32string_view text);

/// `str.split()`: the words between white space, as views into `text`.
std::vector<std::u32string_view> split(std::u32string_view text);

}  // namespace fovea::metrics
