#pragma once

#include <cstddef>
#include <string_view>

namespace fovea::text::pipeline {

/// Bytes of the first extended grapheme cluster, what a reader takes for one character, of `text` (UTF-8, not
/// empty). Source: Unicode Standard Annex 29, rules GB3 to GB13.
std::size_t first_grapheme(std::string_view text);

}  // namespace fovea::text::pipeline
