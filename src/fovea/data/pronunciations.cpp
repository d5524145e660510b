#include "fovea/data/pronunciations.h"

#include <algorithm>
#include <unordered_set>

#include "fovea/base/error.h"
#include "fovea/formats/hash.h"

namespace fovea::data {
namespace {

constexpr std::string_view spaces = " \t\r\v\f";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Takes the first word off `line`; empty at its end.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(spaces), line.size()));
  const std::size_t length = std::min(line.find_first_of(spaces), line.size());
  const std::string_view word = line.substr(0, length);
  line.remove_prefix(length);
  return word;
}

/// "word" of "word(2)".
std::string_view without_number(std::string_view word) {
  const std::size_t open = word.rfind('(');
  const bool numbered =
      open != std::string_view::npos && open > 0 && word.ends_with(')') && word.size() - open > 2 &&
      std::all_of(word.begin() + static_cast<std::ptrdiff_t>(open) + 1, word.end() - 1, is_digit);
  return numbered ? word.substr(0, open) : word;
}

std::string lower_case(std::string_view word) {
  std::string out(word);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string phonemes(std::string_view rest, bool stress) {
  std::string out;
  for (std::string_view symbol; !(symbol = take_word(rest)).empty() && symbol[0] != '#';) {
    while (!stress && symbol.size() > 1 && is_digit(symbol.back())) symbol.remove_suffix(1);
    out.append(out.empty() ? "" : " ").append(symbol);
  }
  return out;
}

}  // namespace

ParallelText read_pronunciations(const std::string& path, const PronunciationOptions& options) {
  LineReader reader(path);
  ParallelText text;
  std::unordered_set<std::string> seen;
  while (const auto line = reader.next()) {
    std::string_view rest = *line;
    const std::string_view entry = take_word(rest);
    if (entry.empty() || entry.starts_with(";;;")) continue;
    std::string word = lower_case(without_number(entry)), spoken = phonemes(rest, options.stress);
    if (spoken.empty())
      throw Error(Error::Kind::data, printable(path, 400) + ":" + std::to_string(reader.line_number()),
                  "the word '" + printable(entry) + "' has no phonemes", "a line is WORD PH ON EM");
    if (!seen.insert(word + '\t' + spoken).second) continue;
    text.source.push_back(std::move(word));
    text.target.push_back(std::move(spoken));
  }
  text.statistics.source = reader.statistics();
  text.statistics.pairs = static_cast<std::int64_t>(text.source.size());
  if (text.source.empty()) throw Error(Error::Kind::data, printable(path, 400), "holds no word");
  return text;
}

bool held_out(std::string_view word, double share) {
  const std::uint64_t hash = formats::xxh64(std::as_bytes(std::span(word.data(), word.size())));
  return static_cast<double>(hash >> 11) * 0x1p-53 < share;
}

std::pair<ParallelText, ParallelText> split_by_source(const ParallelText& text, double share) {
  std::pair<ParallelText, ParallelText> out;
  for (std::size_t i = 0; i < text.source.size(); ++i) {
    ParallelText& part = held_out(text.source[i], share) ? out.second : out.first;
    part.source.push_back(text.source[i]);
    part.target.push_back(text.target[i]);
    ++part.statistics.pairs;
  }
  return out;
}

}  // namespace fovea::data
