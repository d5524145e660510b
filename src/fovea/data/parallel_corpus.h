#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/data/lines.h"

namespace fovea::data {

/// Where parallel text lies: two files whose line n belong together, or one file: of tab-separated columns,
/// or of JSON lines if fields are named.
struct ParallelFiles {
  std::string source = {};  ///< file of the source lines, or the TSV file
  std::string target = {};  ///< file of the target lines; empty: `source` is a TSV file
  int source_column = 1;    ///< columns of the TSV file, from 1
  int target_column = 2;
  /// Members of JSON objects, a line each. Of a list of texts all are the source, the first is the target.
  std::string source_field = {}, target_field = {};

  bool is_json() const { return !source_field.empty(); }
  bool is_tsv() const { return target.empty() && !is_json(); }
};

/// What reading parallel text found.
struct ParallelStatistics {
  std::int64_t pairs = 0;          ///< pairs given out
  std::int64_t empty_pairs = 0;    ///< left out: a side is empty or ASCII white space only
  std::int64_t skipped_pairs = 0;  ///< left out: a side is not UTF-8, under BadUtf8::skip
  LineStatistics source, target;   ///< of the files; a TSV file's are in `source`
};

/// A sentence and its translation.
struct TextPair {
  std::string_view source, target;
};

/// Reads parallel text pair by pair; memory does not grow with the files.
class PairReader {
 public:
  /// Throws Error(usage) if the columns are below 1 or equal; Error(data) as LineReader does.
  explicit PairReader(ParallelFiles files, LineOptions options = {});

  /// The next pair, valid until the next call, or nothing at the end.
  /// Throws Error(data) if the two files' numbers of lines differ (naming both numbers, when the shorter one
  /// ends), or if a line of the TSV file has too few columns,
  /// or lacks a field (naming file and line).
  std::optional<TextPair> next();

  ParallelStatistics statistics() const;

 private:
  std::optional<TextPair> next_of_files();
  std::optional<TextPair> next_of_tsv();
  std::optional<TextPair> next_of_json();
  void expect_same_end();

  ParallelFiles files_;
  LineReader source_;
  std::optional<LineReader> target_;
  ParallelStatistics statistics_;
  std::string source_text_, target_text_;  // of JSON lines
};

/// Parallel text in memory: source[i] belongs to target[i].
struct ParallelText {
  std::vector<std::string> source, target;
  ParallelStatistics statistics;
};

/// All pairs of the files. Throws as PairReader does, and Error(data) if no pair is left.
ParallelText read_parallel(const ParallelFiles& files, LineOptions options = {});

}  // namespace fovea::data
