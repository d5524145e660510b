#include "fovea/data/lines.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/text/utf8.h"

namespace fovea::data {
namespace {

constexpr std::size_t initial_bytes = std::size_t{128} << 10;
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

}  // namespace

LineReader::LineReader(const std::string& path, LineOptions options)
    : source_(path), options_(options), buffer_(initial_bytes) {}

LineReader::LineReader(FileDescriptor file, std::string name, LineOptions options)
    : source_(std::move(file), std::move(name)), options_(options), buffer_(initial_bytes) {}

// Moves the unread bytes to the front, grows a full buffer and reads once more; false at the end of the file.
bool LineReader::refill() {
  if (at_end_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  check_length(end_);
  if (end_ == buffer_.size()) buffer_.resize(buffer_.size() * 2);
  const std::size_t count = source_.read({buffer_.data() + end_, buffer_.size() - end_});
  end_ += count;
  at_end_ = count == 0;
  return !at_end_;
}

void LineReader::check_length(std::size_t bytes) const {
  if (bytes <= options_.max_bytes) return;
  throw Error(Error::Kind::data, place(statistics_.lines + 1),
              "the line is longer than " + std::to_string(options_.max_bytes) + " bytes",
              "is this a text file?");
}

std::string LineReader::place(std::int64_t line) const {
  return printable(name(), 400) + ":" + std::to_string(line);
}

void LineReader::drop_byte_order_mark() {
  at_start_ = false;
  while (end_ < byte_order_mark.size()) {
    // What cannot become a mark is passed on at once: a terminal may send nothing more for a while.
    const std::string_view head(buffer_.data(), end_);
    const bool utf16 = head == "\xff" || head == "\xfe";
    if (!utf16 && byte_order_mark.substr(0, end_) != head) break;
    if (!refill()) break;
  }
  const std::string_view head(buffer_.data(), end_);
  if (head.starts_with("\xff\xfe") || head.starts_with("\xfe\xff"))
    throw Error(Error::Kind::data, printable(name(), 400), "is UTF-16, not UTF-8",
                "convert it: iconv -f UTF-16 -t UTF-8");
  if (head.starts_with(byte_order_mark)) begin_ += byte_order_mark.size();
}

bool LineReader::has_line() {
  std::size_t searched = 0;  // bytes from begin_ known to hold no '\n'
  while (!std::memchr(buffer_.data() + begin_ + searched, '\n', end_ - begin_ - searched)) {
    searched = end_ - begin_;
    if (at_end_) return true;
    if (!source_.ready()) return false;
    refill();
  }
  return true;
}

std::optional<std::string_view> LineReader::next_raw() {
  if (at_start_) drop_byte_order_mark();
  std::size_t searched = 0;  // bytes from begin_ known to hold no '\n'
  while (true) {
    const char* from = buffer_.data() + begin_;
    const auto* found =
        static_cast<const char*>(std::memchr(from + searched, '\n', end_ - begin_ - searched));
    if (found) {
      auto length = static_cast<std::size_t>(found - from);
      check_length(length);
      begin_ += length + 1;
      if (length > 0 && from[length - 1] == '\r') --length;
      return std::string_view(from, length);
    }
    searched = end_ - begin_;
    if (refill()) continue;
    if (begin_ == end_) return std::nullopt;
    return std::string_view(buffer_.data() + std::exchange(begin_, end_), searched);
  }
}

void LineReader::replace_nul(std::string_view line) {
  auto* at = const_cast<char*>(line.data());  // the line lies in buffer_
  char* const stop = at + line.size();
  while ((at = static_cast<char*>(std::memchr(at, '\0', static_cast<std::size_t>(stop - at))))) {
    *at++ = ' ';
    ++statistics_.nul_bytes;
  }
}

// Counts the current line, malformed from `byte` on, or refuses it.
void LineReader::note_malformed(std::size_t byte) {
  const std::string where = place(statistics_.lines) + ":" + std::to_string(byte + 1);
  if (options_.bad_utf8 == BadUtf8::error)
    throw Error(Error::Kind::data, where, "the line is not UTF-8 from this byte on",
                "repair the file, or have such lines replaced or skipped");
  if (++statistics_.invalid_lines == 1) statistics_.first_invalid = where;
}

std::optional<std::string_view> LineReader::next() {
  while (const auto line = next_raw()) {
    ++statistics_.lines;
    replace_nul(*line);
    if (text::is_valid_utf8(*line)) return line;
    text::Repaired repaired = text::repair_utf8(*line);
    note_malformed(repaired.first_offset);
    if (options_.bad_utf8 == BadUtf8::skip) continue;
    repaired_ = std::move(repaired.text);
    return repaired_;
  }
  return std::nullopt;
}

std::vector<std::string> read_lines(const std::string& path, LineOptions options,
                                    LineStatistics* statistics) {
  LineReader reader(path, options);
  std::vector<std::string> lines;
  while (const auto line = reader.next()) lines.emplace_back(*line);
  if (statistics) *statistics = reader.statistics();
  return lines;
}

}  // namespace fovea::data
