#include "fovea/text/pipeline/piece_table.h"

#include <bit>
#include <functional>

namespace fovea::text::pipeline {

PieceTable PieceTable::parse_object(const formats::Json& json) {
  const std::size_t count = json.size();
  if (count > most_pieces) json.reject("has " + std::to_string(count) + " pieces; 4 million are the most");
  const auto limit = static_cast<std::int64_t>(2 * count + 65536);
  PieceTable table;
  table.reserve(count, 8 * count);
  for (const auto& [piece, value] : json.members()) {
    if (piece.size() > longest_piece) value.reject("its piece is longer than 4096 bytes");
    const auto id = static_cast<std::int32_t>(value.integer(0, limit));
    if (table.has(id)) value.reject("is the id of '" + printable(table.piece(id), 40) + "', too");
    table.add(piece, id);
  }
  return table;
}

void PieceTable::reserve(std::size_t pieces, std::size_t bytes) {
  bytes_.reserve(bytes);
  places_.reserve(pieces);
  grow(pieces);
}

void PieceTable::grow(std::size_t pieces) {
  const std::size_t wanted = std::bit_ceil(2 * pieces + 16);
  if (wanted <= slots_.size()) return;
  slots_.assign(wanted, -1);
  for (std::size_t id = 0; id < places_.size(); ++id) {
    const Place place = places_[id];
    if (place.begin == absent) continue;
    std::int32_t& slot = slots_[slot_of(std::string_view(bytes_).substr(place.begin, place.length))];
    slot = static_cast<std::int32_t>(id);  // of two with the same piece the later id, as when it was added
  }
}

/// Where a piece is, or would be.
std::size_t PieceTable::slot_of(std::string_view text) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = std::hash<std::string_view>{}(text)&mask;
  while (slots_[slot] >= 0 && piece(slots_[slot]) != text) slot = (slot + 1) & mask;
  return slot;
}

void PieceTable::add(std::string_view piece, std::int32_t id) {
  if (2 * (count_ + 1) > slots_.size()) grow(2 * (count_ + 1));
  if (static_cast<std::size_t>(id) >= places_.size()) places_.resize(static_cast<std::size_t>(id) + 1);
  const std::size_t slot = slot_of(piece);
  places_[static_cast<std::size_t>(id)] = {static_cast<std::uint32_t>(bytes_.size()),
                                           static_cast<std::uint32_t>(piece.size())};
  bytes_.append(piece);
  if (slots_[slot] < 0) ++count_;
  slots_[slot] = id;
}

std::int32_t PieceTable::find(std::string_view piece) const {
  return slots_.empty() ? -1 : slots_[slot_of(piece)];
}

std::string_view PieceTable::piece(std::int32_t id) const {
  if (!has(id)) return {};
  const Place place = places_[static_cast<std::size_t>(id)];
  return std::string_view(bytes_).substr(place.begin, place.length);
}

}  // namespace fovea::text::pipeline
