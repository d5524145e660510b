#pragma once

#include <cstdint>
#include <vector>

#include "fovea/formats/json.h"
#include "fovea/text/pipeline/piece_table.h"

namespace fovea::text::pipeline {

/// The merges of byte-pair encoding: which two neighbours become which piece, and in what order.
class MergeTable {
 public:
  static constexpr std::size_t most_merges = 8'000'000;

  struct Merge {
    std::uint32_t rank;  ///< smaller ones come first
    std::int32_t piece;  ///< what the two become
  };

  /// Reads ["a b", ...] or [["a", "b"], ...]. Pieces inside a word begin with `prefix`, which is cut off
  /// where one is joined from the left. A merge that is there twice has the later rank. Throws Error(model)
  /// naming file and place for merges of or into no piece, or not of two.
  static MergeTable parse(const formats::Json& json, const PieceTable& pieces, std::string_view prefix);

  /// The merge of two pieces; null if there is none.
  const Merge* find(std::int32_t left, std::int32_t right) const {
    const std::uint64_t key = key_of(left, right);
    for (std::size_t slot = slot_of(key);; slot = (slot + 1) & (slots_.size() - 1)) {
      if (slots_[slot].key == key) return &slots_[slot].merge;
      if (slots_[slot].key == free) return nullptr;
    }
  }

 private:
  static constexpr std::uint64_t free = ~std::uint64_t{0};  // no key: ids are not negative
  struct Slot {
    std::uint64_t key = free;
    Merge merge{};
  };

  explicit MergeTable(std::size_t merges);
  static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
  }
  std::size_t slot_of(std::uint64_t key) const {
    return (key * 0x9E3779B97F4A7C15u ^ key >> 29) * 0xBF58476D1CE4E5B9u >> 32 & (slots_.size() - 1);
  }
  void add(std::int32_t left, std::int32_t right, Merge merge);

  std::vector<Slot> slots_;
};

}  // namespace fovea::text::pipeline
