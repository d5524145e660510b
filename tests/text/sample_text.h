#pragma once

#include <string>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/text/utf8.h"

namespace fovea::text::sample {

/// A stream of numbers below a bound from a seed.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : key_(RandomKey::of(seed, 0, 77)) {}
  std::uint32_t operator()(std::uint32_t bound) { return below(key_, at_++, bound); }

 private:
  RandomKey key_;
  std::uint64_t at_ = 0;
};

/// Made-up sentences of a made-up lexicon in English and German letters, with numbers and punctuation.
inline std::vector<std::string> sentences(std::size_t count, std::uint64_t seed) {
  static const std::vector<std::string> syllables{"ba",       "ren", "schl", "ei", "the",      "ing", "un",
                                                  "gen",      "t",   "er",   "zw", "\xC3\xBC", "st",  "ra",
                                                  "\xC3\x9F", "e",   "mo",   "qu", "an",       "li"};
  Dice dice(seed);
  std::vector<std::string> lexicon;
  for (int i = 0; i < 600; ++i) {
    std::string word;
    for (std::uint32_t n = 1 + dice(3); n > 0; --n) word += syllables[dice(20)];
    if (dice(5) == 0) word[0] = static_cast<char>(word[0] >= 'a' && word[0] <= 'z' ? word[0] - 32 : word[0]);
    lexicon.push_back(word);
  }
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < count; ++i) {
    std::string line;
    for (std::uint32_t n = 3 + dice(15); n > 0; --n) {
      const std::uint32_t square = dice(600);  // few words are frequent, as in a language
      line.append(line.empty() ? "" : " ").append(lexicon[square * square / 600]);
      if (dice(12) == 0) line += ",";
      if (dice(30) == 0) line.append(" ").append(std::to_string(dice(3000)));
    }
    line += ".!?"[dice(3)];
    lines.push_back(line);
  }
  return lines;
}

/// A random code point from one of many blocks: scripts, combining marks, emoji, control characters, private
/// use, ...
inline char32_t code_point(Dice& dice) {
  static constexpr std::pair<char32_t, char32_t> blocks[] = {
      {0x20, 0x7E},       {0x61, 0x7A},       {0x00, 0x1F},         {0x7F, 0xFF},       {0x100, 0x17F},
      {0x300, 0x36F},     {0x370, 0x3FF},     {0x400, 0x4FF},       {0x5D0, 0x5EA},     {0x620, 0x64A},
      {0x900, 0x97F},     {0xE01, 0xE3A},     {0x1100, 0x11FF},     {0x1E00, 0x1EFF},   {0x2000, 0x206F},
      {0x20A0, 0x20BF},   {0x2100, 0x214F},   {0x2580, 0x259F},     {0x3000, 0x30FF},   {0x3300, 0x33FF},
      {0x4E00, 0x9FFF},   {0xAC00, 0xD7A3},   {0xE000, 0xE0FF},     {0xF900, 0xFAFF},   {0xFB00, 0xFDFF},
      {0xFE00, 0xFE0F},   {0xFF00, 0xFFEF},   {0xFFF0, 0xFFFF},     {0x1D400, 0x1D7FF}, {0x1F300, 0x1FAFF},
      {0x20000, 0x2A6DF}, {0xE0000, 0xE007F}, {0x10FFF0, 0x10FFFF}, {0x20, 0x20},       {0x2581, 0x2581}};
  const auto& block = blocks[dice(std::size(blocks))];
  return block.first + dice(static_cast<std::uint32_t>(block.second - block.first + 1));
}

/// Up to `length` random characters: of all blocks, mostly of one, or repeated.
inline std::string awkward(Dice& dice, std::uint32_t length) {
  std::string out;
  const std::uint32_t style = dice(4), count = dice(length + 1);
  char32_t c = code_point(dice);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (style == 0 || (style == 1 && dice(4) == 0)) c = code_point(dice);
    if (style == 2) c = U"ab ren.\u2581"[dice(8)];
    if (style == 3 && dice(3) == 0) c = dice(2) == 0 ? U' ' : code_point(dice);
    append_utf8(out, c);
  }
  return out;
}

/// Random bytes, most of which are no UTF-8.
inline std::string bytes(Dice& dice, std::uint32_t length) {
  std::string out;
  for (std::uint32_t i = dice(length + 1); i > 0; --i)
    out.push_back(static_cast<char>(dice(3) == 0 ? dice(128) : dice(256)));
  return out;
}

}  // namespace fovea::text::sample
