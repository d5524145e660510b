#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/formats/json.h"

namespace fovea::text::pipeline {

/// The pieces of a vocabulary and their ids.
class PieceTable {
 public:
  static constexpr std::size_t most_pieces = 4'000'000;
  static constexpr std::size_t longest_piece = 4096;  // bytes

  PieceTable() = default;
  /// Reads a JSON object piece -> id. Ids may have gaps, but not so that a small file makes a large table.
  /// Throws Error(model) naming file and piece for ids that are there twice, negative or far too large.
  static PieceTable parse_object(const formats::Json& json);

  /// Gives a piece an id that no piece has; a piece that is there already gets the new one, and the old id is
  /// left as a second name of it.
  void add(std::string_view piece, std::int32_t id);
  void reserve(std::size_t pieces, std::size_t bytes);

  /// The id of a piece; -1 if there is none.
  std::int32_t find(std::string_view piece) const;
  bool has(std::int32_t id) const {
    return id >= 0 && static_cast<std::size_t>(id) < places_.size() &&
           places_[static_cast<std::size_t>(id)].begin != absent;
  }
  /// The piece of an id; empty if there is none.
  std::string_view piece(std::int32_t id) const;

  std::size_t size() const { return count_; }  ///< pieces, each counted once
  std::int32_t end() const { return static_cast<std::int32_t>(places_.size()); }  ///< largest id + 1

 private:
  struct Place {
    std::uint32_t begin = absent, length = 0;
  };
  static constexpr std::uint32_t absent = 0xFFFFFFFF;

  std::size_t slot_of(std::string_view piece) const;
  void grow(std::size_t pieces);

  std::string bytes_;                // of all pieces
  std::vector<Place> places_;        // by id
  std::vector<std::int32_t> slots_;  // ids by hash, open addressing; -1 = free
  std::size_t count_ = 0;
};

}  // namespace fovea::text::pipeline
