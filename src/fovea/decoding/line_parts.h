#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/sentences.h"
#include "fovea/text/translation_tokenizer.h"

namespace fovea::decoding {

/// What of a line of so many `tokens` is translated at once: the whole of it, or, if those are more than
/// `most` (2 at least), sentences or parts of them. At least one; views point into `line`.
std::vector<text::Chunk> line_parts(std::string_view line, std::size_t tokens,
                                    const text::TranslationTokenizer& tokenizer, std::int64_t most);

/// A translation as one line: byte pieces can spell line ends and NUL, which become spaces.
std::string one_line(std::string text);

}  // namespace fovea::decoding
