#include "fovea/data/aligned_text.h"

#include <algorithm>

#include "fovea/base/error.h"
#include "fovea/data/lines.h"
#include "fovea/text/words.h"

namespace fovea::data {
namespace {

std::string place(const std::string& file, std::size_t line) {
  return printable(file, 400) + ":" + std::to_string(line + 1);
}

std::vector<std::string> columns_of(const std::string& line) {
  std::vector<std::string> columns{""};
  for (const char c : line) {
    if (c == '\t')
      columns.emplace_back();
    else
      columns.back().push_back(c);
  }
  return columns;
}

void expect_lines(const std::string& file, std::size_t lines, const std::string& other,
                  std::size_t expected) {
  if (lines == expected) return;
  throw Error(Error::Kind::data, printable(file, 400),
              "has " + std::to_string(lines) + " lines, but " + printable(other, 400) + " has " +
                  std::to_string(expected),
              "line n of the one must belong to line n of the other");
}

/// The links of line `line`, checked against the words of the pair.
text::GoldAlignment gold_of(const std::string& links, const AlignedText& text, std::size_t line, bool swapped,
                            const std::string& file) {
  const std::string where = place(file, line);
  auto gold = text::parse_alignment(links, where);
  std::size_t source = text::split_words(text.source[line]).size();
  std::size_t target = text::split_words(text.target[line]).size();
  if (swapped) std::swap(source, target);
  text::check_alignment(gold, source, target, where);
  return swapped ? text::transposed(gold) : gold;
}

AlignedText read_columns(const AlignedFiles& files) {
  AlignedText text;
  std::size_t expected = 0;
  const auto lines = read_lines(files.pairs);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    auto columns = columns_of(lines[i]);
    if (i == 0) expected = std::clamp<std::size_t>(columns.size(), 2, 3);
    if (columns.size() != expected)
      throw Error(Error::Kind::data, place(files.pairs, i),
                  "has " + std::to_string(columns.size()) + " columns, expected " + std::to_string(expected),
                  "write source, tab, target, tab, links, in every line");
    if (files.swapped) std::swap(columns[0], columns[1]);
    text.source.push_back(std::move(columns[0]));
    text.target.push_back(std::move(columns[1]));
    if (expected == 3) text.gold.push_back(gold_of(columns[2], text, i, files.swapped, files.pairs));
  }
  return text;
}

}  // namespace

AlignedText read_aligned(const AlignedFiles& files) {
  if (!files.pairs.empty()) return read_columns(files);
  AlignedText text{read_lines(files.source), read_lines(files.target), {}};
  expect_lines(files.target, text.target.size(), files.source, text.source.size());
  if (files.gold.empty()) return text;
  const auto links = read_lines(files.gold);
  expect_lines(files.gold, links.size(), files.source, text.source.size());
  for (std::size_t i = 0; i < links.size(); ++i)
    text.gold.push_back(gold_of(links[i], text, i, files.swapped, files.gold));
  return text;
}

}  // namespace fovea::data
