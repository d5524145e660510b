#pragma once

#include <compare>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace fovea::text {

/// Source word `source` and target word `target` of a sentence pair belong together; both count from 0.
struct Link {
  std::int32_t source = 0, target = 0;
  auto operator<=>(const Link&) const = default;
};

/// Which words of a sentence pair belong together; a word may have any number of links.
using Alignment = std::set<Link>;

/// An alignment made by hand. People are sure of some links and find others possible.
/// Source: Och and Ney 2003, "A systematic comparison of various statistical alignment models", section 6.
struct GoldAlignment {
  Alignment sure;      ///< S
  Alignment possible;  ///< P, all of S among it
  bool operator==(const GoldAlignment&) const = default;
};

/// Reads links in the Pharaoh format: "SOURCE-TARGET" words apart by blanks, "0-0 1-2". A link that is only
/// possible is written 0?3 or ?0-3 or 0p3, the ways in use. A link that is both is sure. Throws Error(data)
/// naming `where` and what was found in place of a link.
GoldAlignment parse_alignment(std::string_view line, std::string_view where);

/// Throws Error(data) naming `where` and the first link that points beyond the last word of either side.
void check_alignment(const GoldAlignment& gold, std::size_t source_words, std::size_t target_words,
                     std::string_view where);

/// "0-0 1-2", ordered by source word; of a gold alignment, possible links as "0?3".
std::string pharaoh(const Alignment& alignment);
std::string pharaoh(const GoldAlignment& gold);

/// The plain guess: target word j belongs to the source word at its relative place,
/// floor((j + 1/2) source_words / target_words). Empty if a side is.
Alignment diagonal_alignment(std::size_t source_words, std::size_t target_words);

/// The same links seen from the other language.
Alignment transposed(const Alignment& alignment);
GoldAlignment transposed(const GoldAlignment& gold);

}  // namespace fovea::text
