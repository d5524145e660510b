#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

/// Plain text as the documents it holds.
namespace fovea::data {

/// What of a file is one document.
enum class Documents {
  file,        ///< all of it, every byte as it stands
  paragraphs,  ///< lines up to an empty one
  lines,       ///< a line that is not empty, without its end
};

struct DocumentOptions {
  Documents documents = Documents::file;
  std::int64_t column = 0;  ///< of lines: which part between tabs, from 1; 0: the whole line
};

/// What was found on the way.
struct DocumentStatistics {
  std::int64_t repaired = 0;   ///< parts that were not UTF-8 and became U+FFFD
  std::string first_repaired;  ///< where the first was; or empty
};

/// The documents of files, plain or gzip ("-" is standard input), one file after the other; a byte-order mark
/// at the beginning of a file is dropped. Throws Error(data) naming the file: missing, unreadable, cut,
/// UTF-16, beyond 2^31 - 1 bytes, or file:line if a line has no such column.
std::vector<std::string> read_documents(std::span<const std::string> paths, const DocumentOptions& options,
                                        DocumentStatistics* statistics = nullptr);

/// Takes the last `share` of the documents away and gives them; where files are documents, the last share of
/// each, in characters. Of N, N - floor(N (1 - share)) are taken.
std::vector<std::string> take_end(std::vector<std::string>& documents, Documents kind, double share);

/// Characters of UTF-8.
std::int64_t count_characters(std::string_view text);

}  // namespace fovea::data
