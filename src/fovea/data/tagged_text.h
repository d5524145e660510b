#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fovea::data {

/// A file of words with a label each, plain or gzip: columns, as CoNLL has them, a word a line and an empty
/// line behind each sentence; or, if its name ends in .json or .jsonl, JSON lines: objects with a list of
/// texts "tokens" (or "words") and one of as many labels, "labels" ("tags", "ner_tags"), texts or whole
/// numbers.
struct TaggedFile {
  std::string path;
  int word = 1;   ///< column, from 1
  int label = 0;  ///< 0: the last one
};

struct TaggedSentence {
  std::vector<std::string> words, labels;  ///< as many of both, at least one
  std::int64_t line = 0;                   ///< of the file where it begins, from 1
};

struct TaggedText {
  std::vector<TaggedSentence> sentences;
  std::int64_t invalid_lines = 0;  ///< were not UTF-8 and are repaired
  std::string first_invalid;       ///< where, "file:line:byte"
};

/// Columns stand between tabs, or where a line has none between spaces. Comments as CoNLL-U has them ("# text
/// = ...") and sentences of the word -DOCSTART- alone, which mark documents, are left out. Throws Error(data)
/// naming file and line: a line without one of the columns, an empty word or label, lists of different
/// lengths, a file that cannot be read, or one that has no sentence.
TaggedText read_tagged(const TaggedFile& file);

/// Moves about `share` of the sentences, each drawn by (seed, its number), to the one returned.
TaggedText split_off(TaggedText& text, double share, std::uint64_t seed);

}  // namespace fovea::data
