#pragma once

/// Classes of characters as Hugging Face's tokenizers see them. Their components carry the tables of
/// different Unicode versions; where that version is older than ours, characters assigned since then are in
/// no class. Source: huggingface/tokenizers 0.23 and the crates it is built of, held against ICU code point
/// by code point.
namespace fovea::text::pipeline {

/// White_Space.
bool is_space(char32_t c);
/// ASCII punctuation and symbols, or general category P (Unicode 8).
bool is_punctuation(char32_t c);
/// General category Cc, Cf or Co (Unicode 8), but for tab, line feed and carriage return.
bool is_control(char32_t c);
/// General category Mn (Unicode 8): the accents that BERT drops.
bool is_nonspacing_mark(char32_t c);
/// General category M (Unicode 9): the accents that StripAccents drops.
bool is_combining_mark(char32_t c);
/// The ideographs around which BERT puts spaces.
bool is_chinese(char32_t c);
/// General category N.
bool is_numeric(char32_t c);
/// \w: alphabetic, marks, decimal digits, connectors, joiners.
bool is_word(char32_t c);

}  // namespace fovea::text::pipeline
