#include "fovea/data/labelled_text.h"

#include <algorithm>
#include <string_view>

#include "fovea/base/error.h"
#include "fovea/base/random.h"
#include "fovea/base/file.h"
#include "fovea/data/lines.h"

namespace fovea::data {
namespace {

std::vector<std::string_view> columns_of(std::string_view line) {
  std::vector<std::string_view> columns;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find('\t', begin), line.size());
    columns.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return columns;
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r") == std::string_view::npos; }

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
  return first == std::string_view::npos ? std::string_view() : text.substr(first, last - first + 1);
}

void append(LabelledText& to, const LabelledText& from, std::size_t i) {
  to.text.push_back(from.text[i]);
  if (!from.second.empty()) to.second.push_back(from.second[i]);
  to.label.push_back(from.label[i]);
  to.line.push_back(from.line[i]);
}

}  // namespace

LabelledText read_labelled(const LabelledFile& file) {
  LineReader lines(file.path);
  LabelledText found;
  const int last = std::max({file.text, file.second, file.label});
  while (const auto line = lines.next()) {
    if (file.header && lines.line_number() == 1) continue;
    const std::string where = shown(file.path) + ":" + std::to_string(lines.line_number());
    const auto columns = columns_of(*line);
    if (columns.size() == 1 && is_blank(*line)) continue;
    if (std::ssize(columns) < last)
      throw Error(Error::Kind::data, where,
                  "has " + std::to_string(columns.size()) + " columns, and column " + std::to_string(last) +
                      " is asked for",
                  "columns stand between tabs: which of them are the text and the label?");
    const auto column = [&](int number) { return columns[static_cast<std::size_t>(number - 1)]; };
    if (trimmed(column(file.label)).empty())
      throw Error(Error::Kind::data, where, "has no label in column " + std::to_string(file.label));
    if (is_blank(column(file.text))) {
      ++found.empty;
      continue;
    }
    found.text.emplace_back(column(file.text));
    if (file.second > 0) found.second.emplace_back(column(file.second));
    found.label.emplace_back(trimmed(column(file.label)));
    found.line.push_back(lines.line_number());
  }
  if (found.text.empty()) throw Error(Error::Kind::data, shown(file.path), "has no example");
  found.invalid_lines = lines.statistics().invalid_lines;
  found.first_invalid = lines.statistics().first_invalid;
  return found;
}

LabelledText split_off(LabelledText& text, double share, std::uint64_t seed) {
  const auto key = RandomKey::of(seed, 0, site::sample);
  LabelledText kept, taken;
  for (std::size_t i = 0; i < text.text.size(); ++i)
    append(uniform(key, i) < static_cast<float>(share) ? taken : kept, text, i);
  kept.empty = text.empty;
  kept.invalid_lines = text.invalid_lines;
  kept.first_invalid = text.first_invalid;
  text = std::move(kept);
  return taken;
}

}  // namespace fovea::data
