#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::text {

/// SentencePiece's precompiled character map: rules "these bytes become those", the longest match at a place
/// wins. On disk: u32 size of the trie in bytes, a double array of u32 units, replacements that each end in
/// NUL. A unit: bit 8 says that a rule ends here (its value is in the child without label), unit & 0x800000FF
/// is its label, (unit >> 10) << ((unit & 0x200) >> 6) the offset to its children by xor; a value is a byte
/// offset of a replacement. Source: Darts-clone; google/sentencepiece, src/normalizer.cc.
class Charsmap {
 public:
  /// The longest rule and replacement in bytes that are accepted: those of real maps are below 60.
  static constexpr std::size_t max_length = 1024;

  Charsmap() = default;

  /// Reads a map and checks every node that can be reached: indices, values and that no path runs in a
  /// circle. Throws Error(model) naming `where`. An empty blob is the map without rules.
  Charsmap(std::string_view blob, std::string_view where);

  bool empty() const { return units_.empty(); }

  struct Match {
    std::size_t length = 0;        ///< bytes of the text; 0 = no rule
    std::string_view replacement;  ///< a view into the map
  };
  /// The longest rule that `text` begins with. Looks at max_length bytes at most.
  Match longest_match(std::string_view text) const { return match(text, false); }
  /// The shortest one.
  Match shortest_match(std::string_view text) const { return match(text, true); }

  /// Whether a text that begins with these two bytes (ASCII the first) can begin with a rule.
  bool may_match(unsigned char first, unsigned char second) const {
    return first >= 128 || pairs_[first][second];
  }
  /// Whether a rule is this one ASCII byte alone.
  bool matches_alone(unsigned char byte) const { return byte >= 128 || alone_[byte]; }

 private:
  std::uint32_t child(std::uint32_t node, unsigned char label) const;
  Match match(std::string_view text, bool first) const;
  void check(std::string_view where) const;
  void check_rule(std::uint32_t node, std::string_view where) const;
  void find_ascii_pairs();

  std::vector<std::uint32_t> units_;
  std::string replacements_;
  std::array<std::bitset<256>, 128> pairs_;
  std::bitset<128> alone_;
};

}  // namespace fovea::text
