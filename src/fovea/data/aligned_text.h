#pragma once

#include <string>
#include <vector>

#include "fovea/text/word_alignment.h"

namespace fovea::data {

/// Where sentence pairs and the links between their words lie: files whose line n belong together, or one
/// file of columns.
struct AlignedFiles {
  std::string pairs = {};  ///< "source TAB target TAB links" a line; empty: the files below
  std::string source = {}, target = {};
  std::string gold = {};  ///< links in the Pharaoh format, or empty
  bool swapped = false;   ///< the source of the pairs, or of the gold, is the target wanted here
};

/// Sentence pairs in memory, and their hand-made alignments.
struct AlignedText {
  std::vector<std::string> source, target;
  std::vector<text::GoldAlignment> gold;  ///< one a pair, or none at all
};

/// All pairs of the files, in order; empty lines stay. Words are what blanks stand between. The third column
/// may be missing, then in every line. `swapped` makes the first column of pairs the target, and turns the
/// links round; of separate files it turns the links alone.
/// Throws Error(data) naming file and line: numbers of lines that differ, a line of too few or too many
/// columns, what is no link, a link beyond the last word; and as LineReader does.
AlignedText read_aligned(const AlignedFiles& files);

}  // namespace fovea::data
