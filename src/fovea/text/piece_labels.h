#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/tokenizer.h"

namespace fovea::text {

/// What each token of `encoding` stands for in its text, in SentencePiece's way whatever the tokenizer's own:
/// the bytes of its range, with ▁ (U+2581) in front where a word begins. A token that was put around the text
/// is its piece ("[CLS]"); one that spells nothing, or a further part of a character, is empty. For pictures:
/// byte-level pieces ("Ġfranç" ...) are no text to read.
std::vector<std::string> piece_labels(const Tokenizer& tokenizer, const Encoding& encoding,
                                      std::string_view first, std::string_view second = {});

}  // namespace fovea::text
