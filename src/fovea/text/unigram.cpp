#include "fovea/text/unigram.h"

#include <algorithm>
#include <limits>

#include "fovea/text/utf8.h"

namespace fovea::text {

using PieceType = SentencePieceProto::PieceType;

namespace {

/// Bytes without a point that every path passes, after which the search commits all the same: bounds memory
/// for a line of 100 MB without a space. Real text has such a point at nearly every word.
constexpr std::size_t max_window = std::size_t{1} << 20;

}  // namespace

UnigramSegmenter::UnigramSegmenter(const SentencePieceProto& proto, std::int32_t unk) : unk_(unk) {
  // The same odd starting values as SentencePiece: log probabilities are negative, so `highest` stays near 0.
  float lowest = std::numeric_limits<float>::max(), highest = std::numeric_limits<float>::min();
  std::vector<std::pair<std::string_view, std::int32_t>> keys;
  for (std::size_t id = 0; id < proto.pieces.size(); ++id) {
    const auto& piece = proto.pieces[id];
    if (piece.type == PieceType::normal) {
      lowest = std::min(lowest, piece.score);
      highest = std::max(highest, piece.score);
    }
    if (piece.type == PieceType::normal || piece.type == PieceType::user_defined)
      keys.emplace_back(piece.text, static_cast<std::int32_t>(id));
  }
  unk_score_ = lowest - 10.0f;
  scores_.resize(proto.pieces.size());
  for (std::size_t id = 0; id < proto.pieces.size(); ++id) {
    const auto& piece = proto.pieces[id];
    scores_[id] = piece.type == PieceType::user_defined
                      ? static_cast<float>(piece.text.size()) * highest - 0.1
                      : static_cast<double>(piece.score);
  }
  trie_ = PieceTrie(std::move(keys));
}

void UnigramSegmenter::segment(std::string_view text, std::vector<Segment>& out) const {
  // cells[i] belongs to byte origin + i. The window moves on where no piece reaches beyond: every path passes
  // there.
  std::vector<Cell> cells(1);
  cells.reserve(std::min<std::size_t>(text.size(), 256));
  std::size_t origin = 0, reach = 0;

  const auto offer = [&](std::size_t end, auto score, std::int32_t id, std::size_t length) {
    if (end > reach) {
      reach = end;
      cells.resize(reach - origin + 1);
    }
    Cell& cell = cells[end - origin];
    if (cell.id < 0 || score > cell.score)
      cell = {static_cast<float>(score), id, static_cast<std::uint32_t>(length)};
  };
  const auto commit = [&](std::size_t upto) {
    const std::size_t first = out.size();
    for (std::size_t at = upto; at > origin; at -= cells[at - origin].length) {
      const Cell& cell = cells[at - origin];
      out.push_back({cell.id, static_cast<std::uint32_t>(at - cell.length), cell.length});
    }
    std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
    cells[0] = {cells[upto - origin].score, -1, 0};
    cells.resize(1);
    origin = reach = upto;
  };

  for (std::size_t at = 0; at < text.size();) {
    if ((at == reach && at - origin > 64) || at - origin > max_window) commit(at);
    const float so_far = cells[at - origin].score;
    const std::size_t character =
        std::min<std::size_t>(claimed_length(static_cast<unsigned char>(text[at])), text.size() - at);
    bool known = false;
    PieceTrie::Node node = trie_.root();
    for (std::size_t end = at; end < text.size() && !node.nowhere();) {
      node = trie_.step(node, text[end++]);
      if (node.nowhere() || node.value() < 0) continue;
      const std::size_t length = end - at;
      offer(end, scores_[static_cast<std::size_t>(node.value())] + static_cast<double>(so_far), node.value(),
            length);
      known |= length == character;
    }
    if (!known) offer(at + character, unk_score_ + so_far, unk_, character);
    at += character;
  }
  commit(text.size());
}

}  // namespace fovea::text
