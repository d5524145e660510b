#pragma once

#include "fovea/text/pipeline/aligned_text.h"

namespace fovea::text::pipeline {

/// The normalisation forms of Unicode.
enum class UnicodeForm { nfc, nfd, nfkc, nfkd };

/// Brings a text into a form. Characters that Unicode 9 did not have stay as they are, as in the tables that
/// Hugging Face's tokenizers use. Characters made of one stand for what that one stood for; one made of
/// several for what the first of them stood for.
/// Time linear in the text but for runs of combining marks, which are sorted.
/// Source: Unicode Standard Annex 15; the way back as in the crate unicode-normalization-alignments.
void to_unicode_form(AlignedText& text, UnicodeForm form);

}  // namespace fovea::text::pipeline
