#include "fovea/text/word_alignment.h"

#include <charconv>
#include <limits>
#include <optional>

#include "fovea/base/error.h"

namespace fovea::text {
namespace {

constexpr std::string_view blanks = " \t\r";

struct ParsedLink {
  Link link;
  bool possible;
};

/// Takes a number off the front of `text`.
std::optional<std::int32_t> take_number(std::string_view& text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value >= std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return static_cast<std::int32_t>(value);
}

std::optional<ParsedLink> parse_link(std::string_view text) {
  const bool marked = text.starts_with('?');
  if (marked) text.remove_prefix(1);
  const auto source = take_number(text);
  if (!source || text.empty()) return std::nullopt;
  const char separator = text.front();
  text.remove_prefix(1);
  const auto target = take_number(text);
  if (!target || !text.empty() || (separator != '-' && separator != '?' && separator != 'p'))
    return std::nullopt;
  return ParsedLink{{*source, *target}, marked || separator != '-'};
}

void append(std::string& out, Link link, char separator) {
  if (!out.empty()) out.push_back(' ');
  out.append(std::to_string(link.source)).append(1, separator).append(std::to_string(link.target));
}

}  // namespace

GoldAlignment parse_alignment(std::string_view line, std::string_view where) {
  GoldAlignment gold;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    if (line.empty()) return gold;
    const std::string_view word = line.substr(0, line.find_first_of(blanks));
    line.remove_prefix(word.size());
    const auto parsed = parse_link(word);
    if (!parsed)
      throw Error(Error::Kind::data, where, "'" + printable(word) + "' is not a link",
                  "links are numbers of words from 0, source first: 0-0, or 0?0 if it is only possible");
    gold.possible.insert(parsed->link);
    if (!parsed->possible) gold.sure.insert(parsed->link);
  }
}

void check_alignment(const GoldAlignment& gold, std::size_t source_words, std::size_t target_words,
                     std::string_view where) {
  for (const Link link : gold.possible) {
    const bool source = static_cast<std::size_t>(link.source) >= source_words;
    if (!source && static_cast<std::size_t>(link.target) < target_words) continue;
    throw Error(Error::Kind::data, where,
                "the link " + pharaoh({link}) + " points at " + (source ? "source" : "target") + " word " +
                    std::to_string(source ? link.source : link.target) + ", but the sentence has " +
                    std::to_string(source ? source_words : target_words) + " words",
                "words count from 0; are the lines, or the two languages, those of this text?");
  }
}

std::string pharaoh(const Alignment& alignment) {
  std::string out;
  for (const Link link : alignment) append(out, link, '-');
  return out;
}

std::string pharaoh(const GoldAlignment& gold) {
  std::string out;
  for (const Link link : gold.possible) append(out, link, gold.sure.contains(link) ? '-' : '?');
  return out;
}

Alignment diagonal_alignment(std::size_t source_words, std::size_t target_words) {
  Alignment out;
  for (std::size_t j = 0; source_words > 0 && j < target_words; ++j) {
    const std::size_t i = (2 * j + 1) * source_words / (2 * target_words);
    out.insert({static_cast<std::int32_t>(i), static_cast<std::int32_t>(j)});
  }
  return out;
}

Alignment transposed(const Alignment& alignment) {
  Alignment out;
  for (const Link link : alignment) out.insert({link.target, link.source});
  return out;
}

GoldAlignment transposed(const GoldAlignment& gold) {
  return {transposed(gold.sure), transposed(gold.possible)};
}

}  // namespace fovea::text
