#include "fovea/text/piece_labels.h"

#include <algorithm>
#include <utility>

namespace fovea::text {
namespace {

constexpr std::string_view word_start = "\u2581", blanks = " \t\r\n";

bool is_blank(char c) { return blanks.find(c) != std::string_view::npos; }

}  // namespace

std::vector<std::string> piece_labels(const Tokenizer& tokenizer, const Encoding& encoding,
                                      std::string_view first, std::string_view second) {
  std::vector<std::string> labels;
  std::string_view text = first;
  bool in_second = false;
  std::size_t told = 0;  // bytes of the text that labels stand for so far
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    if (encoding.special[i]) {
      labels.push_back(tokenizer.piece(encoding.ids[i]));
      continue;
    }
    if (encoding.sequences[i] == 1 && !std::exchange(in_second, true)) {
      text = second;
      told = 0;
    }
    const std::size_t begin = std::max(told, static_cast<std::size_t>(encoding.ranges[i].begin));
    const std::size_t end = std::min(text.size(), static_cast<std::size_t>(encoding.ranges[i].end));
    if (begin >= end) {
      labels.emplace_back();
      continue;
    }
    const auto piece = text.substr(begin, end - begin);
    const auto letters = std::min(piece.find_first_not_of(blanks), piece.size());
    const bool begins = begin == 0 || letters > 0 || (told < begin && is_blank(text[begin - 1]));
    labels.push_back((begins ? std::string(word_start) : "") + std::string(piece.substr(letters)));
    told = end;
  }
  return labels;
}

}  // namespace fovea::text
