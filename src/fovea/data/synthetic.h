#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/word_alignment.h"

/// Tasks that are made, not found: as much data as wanted, and for each target symbol it is known which
/// source symbols it comes from. A model that cannot learn them has a fault; one that can should look where
/// they say. Sequences are symbols with spaces between, so that a symbol is a word.
namespace fovea::data {

enum class SyntheticTask {
  copy,      ///< "c a b" -> "c a b"
  reversal,  ///< "c a b" -> "b a c"
  sorting,   ///< "c a b a" -> "a a b c"; of equal symbols the left one stays left
  dates,     ///< "3 r d _ o f _ M a y _ 1 9 7 9" -> "1 9 7 9 - 0 5 - 0 3"
};

/// "copy", "reversal", "sorting", "dates"
const std::vector<std::string>& synthetic_task_names();
/// Throws Error(usage) listing the names.
SyntheticTask parse_synthetic_task(std::string_view name);

/// What is made. Symbols are letters a, b, ...; lengths are uniform; dates have neither option, they run from
/// 1900 to 2099 in twenty ways to write one (day before month where both are numbers).
struct SyntheticOptions {
  SyntheticTask task = SyntheticTask::reversal;
  std::uint64_t seed = 1;
  int symbols = 26;                     ///< 2 to 26
  int min_length = 1, max_length = 12;  ///< symbols, 1 to 1000
};

/// A source, its target and the links between their symbols. Of dates, a digit that was copied is surely
/// linked to where it stood; a digit that was worked out (of a month's name, a zero put before) possibly to
/// all symbols of its field; a hyphen, which comes from nowhere, possibly to everything.
struct SyntheticPair {
  std::string source, target;
  text::GoldAlignment links;
};

/// Number `index` of the endless sequence of pairs: a function of the options and the index alone.
/// Throws Error(usage) for options out of range.
SyntheticPair synthetic_pair(const SyntheticOptions& options, std::uint64_t index);

enum class SyntheticSplit { train, valid, test };

/// Which part a pair belongs to: a hash of its target says, one in ten each to valid and test, so that
/// nothing that is to be written in one part is in another.
SyntheticSplit split_of(const SyntheticPair& pair);

/// The first `count` pairs of a part. Throws Error(usage) if the options give too few different ones.
std::vector<SyntheticPair> synthetic_pairs(const SyntheticOptions& options, SyntheticSplit split,
                                           std::size_t count);

}  // namespace fovea::data
