#pragma once

#include <string>
#include <string_view>

namespace fovea::metrics {

/// How BLEU cuts a line into words, by SacreBLEU's names.
///   13a   mteval-v13a, the one of WMT: entities decoded, ASCII punctuation apart, points and commas kept
///   inside numbers zh    Chinese characters apart, the rest as 13a (no entities) intl  mteval-v14:
///   punctuation (\p{P}) not between numbers and symbols (\p{S}) apart char  every code point none  white
///   space only: the text is tokenized already
/// Source: SacreBLEU 2.6.0, sacrebleu/tokenizers; zh carries its two mis-written ranges (U+2001-2A6D and
/// U+2F81-2FA1 in place of ideographs beyond U+FFFF), since scores are only comparable if all make the same
/// mistake.
enum class MtTokenizer { v13a, zh, intl, character, none };

/// "13a", "zh", "intl", "char" or "none".
std::string_view name(MtTokenizer tokenizer);
/// The tokenizer of that name. Throws Error (usage) listing the names.
MtTokenizer parse_mt_tokenizer(std::string_view name);

/// `line` tokenized, tokens apart by a space (char also keeps the line's own spaces, as SacreBLEU does).
std::u32string tokenize(std::u32string_view line, MtTokenizer tokenizer);
/// The same in UTF-8; invalid bytes become U+FFFD.
std::string tokenize(std::string_view line, MtTokenizer tokenizer);

}  // namespace fovea::metrics
