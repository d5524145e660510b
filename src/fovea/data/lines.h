#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/data/byte_source.h"

/// Text line by line.
///
/// A line ends in '\n' and nowhere else: a lone CR, U+2028, U+0085 and form feeds stay inside it, so that
/// line n here is line n of `wc -l`, `paste` and every parallel corpus. A CR just before the '\n' is
/// stripped; a byte-order mark at the very beginning is dropped; the last line may lack its '\n'. A NUL byte
/// becomes a space: later stages (SentencePiece trains on C strings) would cut the line there.
namespace fovea::data {

/// What happens to a line that is not UTF-8.
enum class BadUtf8 {
  replace,  ///< each malformed part becomes U+FFFD, one a maximal subpart (Unicode 15, section 3.9, table
            ///< 3-8)
  error,    ///< Error(data) naming file:line:byte
  skip,     ///< the line is left out
};

struct LineOptions {
  BadUtf8 bad_utf8 = BadUtf8::replace;
  std::size_t max_bytes = std::size_t{128} << 20;  ///< a longer line is an Error(data)
};

/// What was found on the way.
struct LineStatistics {
  std::int64_t lines = 0;          ///< lines read, skipped ones too
  std::int64_t invalid_lines = 0;  ///< lines that were not UTF-8
  std::int64_t nul_bytes = 0;      ///< NUL bytes made spaces
  std::string
      first_invalid;  ///< where the first malformed byte was, "file:line:byte" (both from 1); or empty
};

/// The lines of a file, one at a time. Plain or gzip; "-" is standard input; pipes and FIFOs give each line
/// as it comes. Memory: the longest line, at least 128 KiB, whatever the length of the file.
class LineReader {
 public:
  /// Throws Error(data) naming the path if it is missing, a directory or unreadable.
  explicit LineReader(const std::string& path, LineOptions options = {});
  /// `name` stands for the file in messages.
  LineReader(FileDescriptor file, std::string name, LineOptions options = {});

  /// The next line without its end, or nothing when there are no more. It is valid until the next call.
  /// Throws Error(data) as BadUtf8 says, if a line is too long, if the file is UTF-16 or cannot be read to
  /// its end.
  std::optional<std::string_view> next();

  /// Whether the next line, or the end, has arrived, so that next() will not wait for it; reads what has.
  bool has_line();

  /// Number of the line that next() gave last, from 1 (skipped lines count).
  std::int64_t line_number() const { return statistics_.lines; }
  const LineStatistics& statistics() const { return statistics_; }
  const std::string& name() const { return source_.name(); }

 private:
  std::optional<std::string_view> next_raw();
  bool refill();
  void drop_byte_order_mark();
  void replace_nul(std::string_view line);
  void note_malformed(std::size_t byte);
  void check_length(std::size_t bytes) const;
  std::string place(std::int64_t line) const;

  ByteSource source_;
  LineOptions options_;
  LineStatistics statistics_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // unread bytes
  bool at_start_ = true, at_end_ = false;
  std::string repaired_;
};

/// All lines of a file; `statistics` (nullable) receives what was found.
std::vector<std::string> read_lines(const std::string& path, LineOptions options = {},
                                    LineStatistics* statistics = nullptr);

}  // namespace fovea::data
