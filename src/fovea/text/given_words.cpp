#include "fovea/text/given_words.h"

#include <algorithm>

namespace fovea::text {
namespace {

constexpr std::string_view blanks = " \t\n\v\f\r";

TextRange range(std::size_t begin, std::size_t end) {
  TextRange range;
  range.begin = static_cast<decltype(range.begin)>(begin);
  range.end = static_cast<decltype(range.end)>(end);
  return range;
}

}  // namespace

GivenWords GivenWords::joined(std::span<const std::string> words) {
  GivenWords given;
  for (const std::string& word : words) {
    if (!given.ranges.empty()) given.text += ' ';
    const std::size_t begin = given.text.size();
    given.text += word;
    given.ranges.push_back(range(begin, given.text.size()));
  }
  return given;
}

GivenWords GivenWords::spaced(std::string_view text) {
  GivenWords given{std::string(text), {}};
  for (std::size_t begin = text.find_first_not_of(blanks); begin < text.size();) {
    const std::size_t end = std::min(text.find_first_of(blanks, begin), text.size());
    given.ranges.push_back(range(begin, end));
    begin = text.find_first_not_of(blanks, end);
  }
  return given;
}

std::vector<std::int32_t> GivenWords::first_tokens(const Encoding& encoding) const {
  std::vector<std::int32_t> first(ranges.size(), -1);
  for (std::size_t i = 0, word = 0; i < encoding.size(); ++i) {
    const TextRange token = encoding.ranges[i];
    if (encoding.special[i] || token.begin >= token.end) continue;
    while (word < ranges.size() && ranges[word].end <= token.begin) ++word;
    if (word == ranges.size()) break;
    if (token.end > ranges[word].begin && first[word] < 0) first[word] = static_cast<std::int32_t>(i);
  }
  return first;
}

}  // namespace fovea::text
