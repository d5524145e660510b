#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::metrics {

/// What happens to a symbol when a hypothesis is rewritten into a reference.
enum class Edit : char { none, keep, substitute, insert, remove };

/// Levenshtein distance: the fewest symbols to be inserted, removed or substituted that make one of the
/// other. Time the product of the lengths, memory the shorter one.
std::int64_t edit_distance(std::u32string_view a, std::u32string_view b);

/// Levenshtein distance of many hypotheses of one length to one reference, as TER needs it: only cells near
/// the diagonal are looked at (`beam` to each side, more if the lengths differ a lot), and rows of the table
/// that the last hypothesis shares are kept. Symbols are 32-bit numbers of words. Among equal costs keep or
/// substitute comes before remove, and remove before insert (Tercom's order, traced back).
class BeamEditDistance {
 public:
  explicit BeamEditDistance(std::u32string_view reference);

  /// The edits that lead from `hypothesis` to the reference.
  std::int64_t distance(std::u32string_view hypothesis);
  /// The edits of the hypothesis asked for last, from its beginning to its end.
  std::vector<Edit> trace() const;

 private:
  struct Cell {
    std::int64_t cost;
    Edit edit;
  };
  /// The cells first, first+1, ... of a row; the others cannot be reached.
  struct Row {
    std::size_t first = 0;
    std::vector<Cell> cells;
  };

  Cell at(std::size_t i, std::size_t j) const;
  Row row(std::size_t i) const;

  std::u32string reference_, hypothesis_;
  std::vector<Row> rows_;  // one more than hypothesis_ has symbols
};

}  // namespace fovea::metrics
