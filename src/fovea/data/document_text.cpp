#include "fovea/data/document_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/data/byte_source.h"
#include "fovea/data/lines.h"
#include "fovea/text/utf8.h"

namespace fovea::data {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
constexpr std::size_t most_bytes = std::numeric_limits<std::int32_t>::max();

/// All bytes of a file, unpacked.
std::string read_bytes(const std::string& path) {
  ByteSource source(path);
  std::string bytes;
  std::array<char, 65536> buffer;
  while (const std::size_t count = source.read(buffer)) {
    bytes.append(buffer.data(), count);
    if (bytes.size() > most_bytes)
      throw Error(Error::Kind::data, printable(path, 400), "is longer than 2^31 - 1 bytes",
                  "cut it into several files");
  }
  return bytes;
}

class Reader {
 public:
  Reader(const DocumentOptions& options, DocumentStatistics& statistics)
      : options_(options), statistics_(statistics) {}

  void read(const std::string& path) {
    if (options_.documents == Documents::file) {
      read_whole(path);
    } else {
      read_by_lines(path);
    }
  }

  std::vector<std::string> documents;

 private:
  void read_whole(const std::string& path) {
    std::string text = read_bytes(path);
    if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
      throw Error(Error::Kind::data, printable(path, 400), "is UTF-16, not UTF-8",
                  "convert it: iconv -f UTF-16 -t UTF-8");
    if (text.starts_with(byte_order_mark)) text.erase(0, byte_order_mark.size());
    text::Repaired repaired = text::repair_utf8(text);
    note(static_cast<std::int64_t>(repaired.replaced),
         printable(path, 400) + ", byte " + std::to_string(repaired.first_offset + 1));
    add(std::move(repaired.text));
  }

  void read_by_lines(const std::string& path) {
    LineReader reader(path);
    std::string paragraph;
    while (const auto line = reader.next()) {
      if (options_.documents == Documents::lines) {
        if (!line->empty()) add(std::string(column_of(*line, path, reader.line_number())));
      } else if (line->empty()) {
        add(std::exchange(paragraph, {}));
      } else {
        paragraph.append(paragraph.empty() ? "" : "\n").append(*line);
      }
    }
    add(std::move(paragraph));
    note(reader.statistics().invalid_lines, reader.statistics().first_invalid);
  }

  std::string_view column_of(std::string_view line, const std::string& path, std::int64_t number) const {
    if (options_.column == 0) return line;
    for (std::int64_t column = 1;; ++column) {
      const std::size_t tab = line.find('\t');
      if (column == options_.column) return line.substr(0, tab);
      if (tab == std::string_view::npos)
        throw Error(Error::Kind::data, printable(path, 400) + ":" + std::to_string(number),
                    "has " + std::to_string(column) + " columns, not " + std::to_string(options_.column));
      line.remove_prefix(tab + 1);
    }
  }

  void add(std::string document) {
    if (!document.empty()) documents.push_back(std::move(document));
  }

  void note(std::int64_t repaired, const std::string& where) {
    if (repaired == 0) return;
    if (statistics_.repaired == 0) statistics_.first_repaired = where;
    statistics_.repaired += repaired;
  }

  const DocumentOptions& options_;
  DocumentStatistics& statistics_;
};

std::int64_t taken_of(std::int64_t count, double share) {
  return count - static_cast<std::int64_t>(std::floor(static_cast<double>(count) * (1.0 - share)));
}

// Where the last `characters` of a text begin.
std::size_t begin_of_last(std::string_view text, std::int64_t characters) {
  std::size_t at = text.size();
  while (characters > 0 && at > 0)
    if ((static_cast<unsigned char>(text[--at]) & 0xC0) != 0x80) --characters;
  return at;
}

}  // namespace

std::vector<std::string> read_documents(std::span<const std::string> paths, const DocumentOptions& options,
                                        DocumentStatistics* statistics) {
  DocumentStatistics found;
  Reader reader(options, found);
  for (const std::string& path : paths) reader.read(path);
  if (statistics) *statistics = found;
  return std::move(reader.documents);
}

std::vector<std::string> take_end(std::vector<std::string>& documents, Documents kind, double share) {
  std::vector<std::string> taken;
  if (kind == Documents::file) {
    for (std::string& text : documents) {
      const std::size_t at = begin_of_last(text, taken_of(count_characters(text), share));
      taken.push_back(text.substr(at));
      text.resize(at);
    }
    return taken;
  }
  const auto first = documents.end() - taken_of(std::ssize(documents), share);
  taken.assign(std::make_move_iterator(first), std::make_move_iterator(documents.end()));
  documents.erase(first, documents.end());
  return taken;
}

std::int64_t count_characters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

}  // namespace fovea::data
