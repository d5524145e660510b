#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fovea::data {

/// A file of tab-separated columns, plain or gzip, of which some are texts and one their label. Columns count
/// from 1.
struct LabelledFile {
  std::string path;
  int text = 1;
  int second = 0;  ///< of the second text where examples are pairs; 0: they are not
  int label = 2;
  bool header = false;  ///< the first line names the columns
};

/// Texts with what they are said to be, line by line; texts that are empty are left out.
struct LabelledText {
  std::vector<std::string> text, second, label;  ///< `second` is empty unless examples are pairs
  std::vector<std::int64_t> line;                ///< of the file, from 1
  std::int64_t empty = 0;                        ///< left out: no text
  std::int64_t invalid_lines = 0;                ///< were not UTF-8 and are repaired
  std::string first_invalid;                     ///< where, "file:line:byte"

  std::int64_t size() const { return std::ssize(text); }
};

/// Throws Error(data) naming file and line: a line without one of the columns or without a label, a file that
/// cannot be read, or one that has no example.
LabelledText read_labelled(const LabelledFile& file);

/// Moves about `share` of the examples, each drawn by (seed, its number), to the one returned.
LabelledText split_off(LabelledText& text, double share, std::uint64_t seed);

}  // namespace fovea::data
