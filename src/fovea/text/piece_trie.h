#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace fovea::text {

/// A map from strings without NUL to numbers, walked byte by byte: a double array with xor, 8 bytes a node,
/// one memory access a step. Source: Aoe 1989, "An efficient digital search algorithm by using a double-array
/// structure".
class PieceTrie {
 public:
  /// A place in the trie; nowhere() if the strings that led here begin no key.
  struct Node {
    std::uint64_t unit = 0;
    bool nowhere() const { return unit == 0; }
    /// The number of the key that ends here, or -1.
    std::int32_t value() const { return static_cast<std::int32_t>(unit >> 8 & 0xFFFFFF) - 1; }
  };

  static constexpr std::int32_t max_value = 0xFFFFFE;

  PieceTrie() = default;
  /// Keys must differ, be neither empty nor hold a NUL, and have values in [0, max_value].
  explicit PieceTrie(std::vector<std::pair<std::string_view, std::int32_t>> keys);

  bool empty() const { return units_.empty(); }
  Node root() const { return {units_.empty() ? 0 : units_[0]}; }

  Node step(Node node, char c) const {
    const auto label = static_cast<unsigned char>(c);
    const std::uint64_t unit = units_[(node.unit >> 32) ^ label];
    return {(unit & 0xFF) == label ? unit : 0};
  }

  Node walk(Node node, std::string_view text) const {
    for (std::size_t i = 0; i < text.size() && !node.nowhere(); ++i) node = step(node, text[i]);
    return node;
  }

  /// Length of the longest key that `text` begins with; 0 if there is none.
  std::size_t longest_prefix(std::string_view text) const;

 private:
  friend class PieceTrieBuilder;

  // A unit is base (32 bits), value + 1 (24 bits), label (8 bits); the child of a node by byte c is
  // units_[base ^ c]. No two nodes share a base, base 0 means no children, and labels are not 0: so label ==
  // c proves the parent, and a NUL in a text leads to a unit with another label or to a free one (0), which
  // is nowhere.
  std::vector<std::uint64_t> units_;
};

}  // namespace fovea::text
