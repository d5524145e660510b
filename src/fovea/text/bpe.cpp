#include "fovea/text/bpe.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "fovea/text/utf8.h"

namespace fovea::text {

using PieceType = SentencePieceProto::PieceType;

namespace {

/// Characters without a pair that cannot merge, after which the text is cut all the same: bounds memory, and
/// keeps the agenda in the cache, for a line of 100 MB without a space. Real text has such a pair at nearly
/// every word.
constexpr std::size_t max_window = std::size_t{1} << 16;

/// The first character of `text`, as SentencePiece cuts: by what its first byte claims.
std::string_view first_character(std::string_view text) {
  return text.substr(0, claimed_length(static_cast<unsigned char>(text[0])));
}

std::uint32_t hash_pair(std::string_view left, std::string_view right) {
  std::uint32_t l = 0, r = 0;
  std::memcpy(&l, left.data(), left.size());
  std::memcpy(&r, right.data(), right.size());
  return (l * 0x9E3779B1u ^ r * 0x85EBCA77u) * 0xC2B2AE3Du >> 14;
}

}  // namespace

/// A run of characters that are one piece by now, or one character: a doubly linked list in an array.
struct BpeSegmenter::Symbol {
  std::uint32_t begin, length;  // length 0 = merged into the one on its left
  std::int32_t previous, next;  // -1 = none
  PieceTrie::Node node;         // where its bytes lead in the trie of pieces
  bool frozen;                  // a user-defined symbol, never merged
};

/// Two neighbours that could become a piece.
struct BpeSegmenter::Pair {
  float score;
  std::int32_t left, right;
  std::uint32_t length;  // of both; if that changed meanwhile, the pair is gone
  PieceTrie::Node node;

  /// Order of a heap with the best on top.
  bool operator<(const Pair& other) const {
    return score < other.score || (score == other.score && left > other.left);
  }
};

struct BpeSegmenter::Workspace {
  std::string_view text;
  std::vector<Symbol> symbols;  // of the part at hand
  std::vector<Pair> agenda;     // a heap
  std::unordered_map<std::int32_t, std::uint32_t>
      halves;  // unused piece -> length of the left half, latest first
};

BpeSegmenter::BpeSegmenter(const SentencePieceProto& proto, const PieceTrie* user_symbols, std::int32_t unk)
    : scores_(proto.pieces.size()),
      unused_(proto.pieces.size()),
      neighbours_(std::make_unique<Neighbours>()),
      user_symbols_(user_symbols != nullptr && !user_symbols->empty() ? user_symbols : nullptr),
      unk_(unk) {
  std::vector<std::pair<std::string_view, std::int32_t>> keys;
  for (std::size_t id = 0; id < proto.pieces.size(); ++id) {
    const auto& piece = proto.pieces[id];
    scores_[id] = piece.score;
    unused_[id] = piece.type == PieceType::unused;
    has_unused_ |= unused_[id];
    if (piece.type != PieceType::normal && piece.type != PieceType::user_defined && !unused_[id]) continue;
    keys.emplace_back(piece.text, static_cast<std::int32_t>(id));
    std::string_view rest = piece.text, left = first_character(rest);
    for (rest.remove_prefix(left.size()); !rest.empty(); rest.remove_prefix(left.size())) {
      const std::string_view right = first_character(rest);
      neighbours_->set(hash_pair(left, right));
      left = right;
    }
  }
  trie_ = PieceTrie(std::move(keys));
}

void BpeSegmenter::add_pair(Workspace& work, std::int32_t left, std::int32_t right) const {
  if (left < 0 || right < 0) return;
  const Symbol& l = work.symbols[static_cast<std::size_t>(left)];
  const Symbol& r = work.symbols[static_cast<std::size_t>(right)];
  if (l.node.nowhere() || l.frozen || r.frozen) return;
  const PieceTrie::Node node = trie_.walk(l.node, work.text.substr(r.begin, r.length));
  if (node.nowhere() || node.value() < 0) return;
  const std::int32_t id = node.value();
  work.agenda.push_back({scores_[static_cast<std::size_t>(id)], left, right, l.length + r.length, node});
  std::push_heap(work.agenda.begin(), work.agenda.end());
  if (unused_[static_cast<std::size_t>(id)]) work.halves[id] = l.length;
}

void BpeSegmenter::merge(Workspace& work) const {
  for (std::size_t i = 1; i < work.symbols.size(); ++i)
    add_pair(work, static_cast<std::int32_t>(i - 1), static_cast<std::int32_t>(i));
  while (!work.agenda.empty()) {
    std::pop_heap(work.agenda.begin(), work.agenda.end());
    const Pair pair = work.agenda.back();
    work.agenda.pop_back();
    Symbol& left = work.symbols[static_cast<std::size_t>(pair.left)];
    Symbol& right = work.symbols[static_cast<std::size_t>(pair.right)];
    if (left.length == 0 || right.length == 0 || left.length + right.length != pair.length) continue;
    left.length = pair.length;
    left.node = pair.node;
    left.next = right.next;
    right.length = 0;
    if (left.next >= 0) work.symbols[static_cast<std::size_t>(left.next)].previous = pair.left;
    add_pair(work, left.previous, pair.left);
    add_pair(work, pair.left, left.next);
  }
}

/// Takes an unused piece apart into the halves it was made of, and those again. SentencePiece remembers, for
/// a whole line, the last pair of halves it saw for a piece.
void BpeSegmenter::emit_unused(Workspace& work, Segment segment, std::vector<Segment>& out) const {
  std::vector<Segment> stack{segment};
  while (!stack.empty()) {
    const Segment top = stack.back();
    stack.pop_back();
    const auto found = top.id == unk_ || !unused_[static_cast<std::size_t>(top.id)]
                           ? work.halves.end()
                           : work.halves.find(top.id);
    if (found == work.halves.end()) {
      out.push_back(top);
      continue;
    }
    const auto part = [&](std::uint32_t begin, std::uint32_t length) {
      const PieceTrie::Node node = trie_.walk(trie_.root(), work.text.substr(begin, length));
      stack.push_back({node.nowhere() || node.value() < 0 ? unk_ : node.value(), begin, length});
    };
    part(top.begin + found->second, top.length - found->second);
    part(top.begin, found->second);
  }
}

/// Merges the part at hand, appends its segments and forgets it.
void BpeSegmenter::emit(Workspace& work, std::vector<Segment>& out) const {
  if (work.symbols.size() > 1) merge(work);
  for (std::int32_t i = work.symbols.empty() ? -1 : 0; i >= 0;) {
    const Symbol& symbol = work.symbols[static_cast<std::size_t>(i)];
    const bool piece = !symbol.node.nowhere() && symbol.node.value() >= 0;
    const Segment segment{piece ? symbol.node.value() : unk_, symbol.begin, symbol.length};
    if (piece && unused_[static_cast<std::size_t>(segment.id)])
      emit_unused(work, segment, out);
    else
      out.push_back(segment);
    i = symbol.next;
  }
  work.symbols.clear();
}

void BpeSegmenter::segment(std::string_view text, std::vector<Segment>& out) const {
  Workspace work{text, {}, {}, {}};
  work.symbols.reserve(32);
  work.agenda.reserve(64);
  std::string_view last;  // the character before, if it may merge
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const std::size_t symbol = user_symbols_ != nullptr ? user_symbols_->longest_prefix(rest) : 0;
    const std::string_view character = symbol > 0 ? rest.substr(0, symbol) : first_character(rest);
    const bool joins = symbol == 0 && !last.empty() && neighbours_->test(hash_pair(last, character));
    // With unused pieces the order of all pairs of a line matters, so that such models get no cuts.
    if (!work.symbols.empty() && ((!joins && !has_unused_) || work.symbols.size() >= max_window))
      emit(work, out);

    const auto index = static_cast<std::int32_t>(work.symbols.size());
    if (index > 0) work.symbols.back().next = index;
    const PieceTrie::Node node = trie_.empty() ? PieceTrie::Node{} : trie_.walk(trie_.root(), character);
    work.symbols.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(character.size()),
                            index - 1, -1, node, symbol > 0});
    last = symbol > 0 ? std::string_view{} : character;
    at += character.size();
  }
  emit(work, out);
}

}  // namespace fovea::text
