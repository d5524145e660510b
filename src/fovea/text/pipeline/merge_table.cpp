#include "fovea/text/pipeline/merge_table.h"

#include <bit>
#include <utility>

namespace fovea::text::pipeline {
namespace {

/// The two pieces of a merge as the file writes them.
std::pair<std::string_view, std::string_view> parts_of(const formats::Json& merge) {
  if (merge.is_array()) {
    if (merge.size() != 2) merge.reject("is not of two pieces");
    auto part = merge.elements().begin();
    const std::string_view left = (*part).text();
    ++part;
    return {left, (*part).text()};
  }
  const std::string_view line = merge.text();
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos)
    merge.reject("is not of two pieces");
  return {line.substr(0, space), line.substr(space + 1)};
}

}  // namespace

MergeTable::MergeTable(std::size_t merges) : slots_(std::bit_ceil(2 * merges + 2)) {}

void MergeTable::add(std::int32_t left, std::int32_t right, Merge merge) {
  const std::uint64_t key = key_of(left, right);
  std::size_t slot = slot_of(key);
  while (slots_[slot].key != free && slots_[slot].key != key) slot = (slot + 1) & (slots_.size() - 1);
  slots_[slot] = {key, merge};
}

MergeTable MergeTable::parse(const formats::Json& json, const PieceTable& pieces, std::string_view prefix) {
  if (json.size() > most_merges) json.reject("has more than 8 million merges");
  MergeTable table(json.size());
  std::uint32_t rank = 0;
  std::string joined;
  for (const formats::Json& merge : json.elements()) {
    if (merge.is_text() && merge.text().starts_with("#version")) continue;
    const auto [left, right] = parts_of(merge);
    const auto id_of = [&](std::string_view piece) {
      const std::int32_t id = pieces.find(piece);
      if (id < 0) merge.reject("'" + printable(piece, 40) + "' is no piece of the vocabulary");
      return id;
    };
    const std::int32_t left_id = id_of(left), right_id = id_of(right);
    if (right.size() < prefix.size()) merge.reject("the second piece is shorter than the prefix");
    joined.assign(left).append(right.substr(prefix.size()));
    table.add(left_id, right_id, {rank++, id_of(joined)});
  }
  return table;
}

}  // namespace fovea::text::pipeline
