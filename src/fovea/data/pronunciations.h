#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "fovea/data/parallel_corpus.h"

/// Dictionaries of pronunciations as CMUdict has them: `WORD PH ON EM` a line, further pronunciations as
/// `WORD(2) ...`, digits of stress at the end of vowels, comments in lines that begin with ";;;" and after "
/// #". Source: cmusphinx/cmudict.
namespace fovea::data {

struct PronunciationOptions {
  bool stress = false;  ///< keep the digits
};

/// A pair for each pronunciation: the word, its ASCII letters in lower case, and its phonemes, a space
/// between them. Pronunciations of a word that are the same without stress are given once. Plain or gzip.
/// Throws Error(data) as LineReader does, and naming file and line for a word without phonemes or a file
/// without words.
ParallelText read_pronunciations(const std::string& path, const PronunciationOptions& options = {});

/// Whether a word belongs to the share (0 to 1) of all words that is held out: by its hash, so whatever else
/// the file holds, and in whatever order.
bool held_out(std::string_view word, double share);

/// The pairs whose source is not held out, and those whose source is.
std::pair<ParallelText, ParallelText> split_by_source(const ParallelText& text, double share);

}  // namespace fovea::data
