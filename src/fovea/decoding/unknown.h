#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fovea/decoding/beam_search.h"

namespace fovea::decoding {

/// For each `unk` of a hypothesis the word of the source that got the most attention as it was written.
/// `source_words` has one for each token of the source (text::TranslationTokenizer::source_words); tokens
/// that stand for no word are passed over. A second `unk` in a row that looks at the same token gives
/// nothing: the word is there. Throws Error(bug) unless the hypothesis says where it looked at so many
/// tokens. Source   Jean et al. 2015, section 3.3; Luong et al. 2015b
std::vector<std::string> words_for_unknown(const Hypothesis& hypothesis, std::int32_t unk,
                                           std::span<const std::string> source_words);

}  // namespace fovea::decoding
