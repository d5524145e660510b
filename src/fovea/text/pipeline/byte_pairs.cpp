#include <algorithm>

#include "fovea/text/pipeline/known_utf8.h"
#include "fovea/text/pipeline/merge_table.h"
#include "fovea/text/pipeline/models.h"
#include "fovea/text/pipeline/word_cache.h"
#include "fovea/text/utf8.h"

namespace fovea::text::pipeline {
namespace {

/// A piece found so far: a doubly linked list in an array.
struct Symbol {
  std::int32_t id;
  std::uint32_t begin, end;     // bytes of the word; begin == end: merged into the one on its left
  std::int32_t previous, next;  // -1 = none
};

/// Two neighbours that could be merged.
struct Pair {
  std::uint32_t rank;
  std::int32_t left;
  std::uint32_t end;   // of the right one; if that changed meanwhile, the pair is gone
  std::int32_t piece;  // what they become

  /// Order of a heap with the first to merge on top.
  bool operator<(const Pair& other) const {
    return rank > other.rank || (rank == other.rank && left > other.left);
  }
};

/// Byte-pair encoding: characters, then again and again the merge of the lowest rank, the leftmost of equals.
/// Characters without a piece are taken apart into bytes or are unknown. n log n in the length of a word.
/// Dropout is for training and not applied. Source: Sennrich et al. 2016, section 3.2.
class BytePairs final : public Model {
 public:
  explicit BytePairs(const formats::Json& json)
      : Model(PieceTable::parse_object(json.at("vocab"))),
        prefix_(json.text_or("continuing_subword_prefix", "")),
        suffix_(json.text_or("end_of_word_suffix", "")),
        merges_(MergeTable::parse(json.at("merges"), pieces(), prefix_)),
        bytes_(byte_pieces(pieces())),
        fuses_unknown_(json.boolean_or("fuse_unk", false)),
        has_byte_fallback_(json.boolean_or("byte_fallback", false)),
        takes_whole_words_(json.boolean_or("ignore_merges", false)) {
    if (const auto unknown = json.find("unk_token")) {
      names_unknown_ = true;
      unknown_ = pieces().find(unknown->text());
    }
    for (char32_t c = 0; c < characters_.size(); ++c) {
      std::string text;
      append_utf8(text, c);
      characters_[c] = pieces().find(text);
    }
  }

  void tokenise(std::string_view word, std::vector<WordToken>& out) const override {
    if (takes_whole_words_) {
      if (const std::int32_t whole = pieces().find(word); whole >= 0) {
        out.push_back({whole, 0, static_cast<std::uint32_t>(word.size())});
        return;
      }
    }
    if (cache_.find(word, out)) return;
    const std::size_t first = out.size();
    std::vector<Symbol> symbols = symbols_of(word);
    merge(symbols);
    for (std::int32_t i = symbols.empty() ? -1 : 0; i >= 0;) {
      const Symbol& symbol = symbols[static_cast<std::size_t>(i)];
      out.push_back({symbol.id, symbol.begin, symbol.end});
      i = symbol.next;
    }
    cache_.keep(word, out, first);
  }

 private:
  std::int32_t id_of(std::string_view character, char32_t c, bool is_first, bool is_last) const {
    const bool plain = (is_first || prefix_.empty()) && (!is_last || suffix_.empty());
    if (plain) return c < characters_.size() ? characters_[c] : pieces().find(character);
    std::string text = is_first ? std::string() : prefix_;
    text.append(character);
    if (is_last) text.append(suffix_);
    return pieces().find(text);
  }

  bool has_bytes_of(std::string_view character) const {
    return has_byte_fallback_ &&
           std::ranges::all_of(character, [&](char c) { return bytes_[static_cast<unsigned char>(c)] >= 0; });
  }

  std::vector<Symbol> symbols_of(std::string_view word) const {
    std::vector<Symbol> symbols;
    symbols.reserve(word.size());
    const auto add = [&](std::int32_t id, std::uint32_t begin, std::uint32_t end) {
      const auto index = static_cast<std::int32_t>(symbols.size());
      if (index > 0) symbols.back().next = index;
      symbols.push_back({id, begin, end, index - 1, -1});
    };
    bool after_unknown = false;
    for (std::uint32_t begin = 0; begin < word.size();) {
      const Decoded c = character_at(word, begin);
      const std::uint32_t end = begin + c.length;
      const std::string_view character = word.substr(begin, c.length);
      const std::int32_t id = id_of(character, c.code_point, begin == 0, end == word.size());
      const bool unknown = id < 0 && !has_bytes_of(character);
      if (id >= 0)
        add(id, begin, end);
      else if (!unknown)
        for (std::uint32_t at = begin; at < end; ++at)
          add(bytes_[static_cast<unsigned char>(word[at])], at, at + 1);
      else if (names_unknown_ && unknown_ < 0)
        refuse_unknown(character);
      else if (after_unknown && fuses_unknown_)
        symbols.back().end = end;
      else if (names_unknown_)
        add(unknown_, begin, end);
      after_unknown = unknown && names_unknown_;
      begin = end;
    }
    return symbols;
  }

  void merge(std::vector<Symbol>& symbols) const {
    std::vector<Pair> agenda;
    agenda.reserve(symbols.size());
    const auto at = [&](std::int32_t index) -> Symbol& { return symbols[static_cast<std::size_t>(index)]; };
    const auto add = [&](std::int32_t left) {
      if (left < 0 || at(left).next < 0) return;
      const Symbol& right = at(at(left).next);
      const MergeTable::Merge* found = merges_.find(at(left).id, right.id);
      if (found != nullptr) agenda.push_back({found->rank, left, right.end, found->piece});
    };
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) add(static_cast<std::int32_t>(i));
    std::make_heap(agenda.begin(), agenda.end());
    while (!agenda.empty()) {
      std::pop_heap(agenda.begin(), agenda.end());
      const Pair pair = agenda.back();
      agenda.pop_back();
      Symbol& left = at(pair.left);
      if (left.begin == left.end || left.next < 0) continue;
      Symbol& right = at(left.next);
      if (right.end != pair.end) continue;
      left.id = pair.piece;
      left.end = right.end;
      left.next = right.next;
      right.begin = right.end;
      if (left.next >= 0) at(left.next).previous = pair.left;
      for (const std::int32_t neighbour : {left.previous, pair.left}) {
        const std::size_t before = agenda.size();
        add(neighbour);
        if (agenda.size() > before) std::push_heap(agenda.begin(), agenda.end());
      }
    }
  }

  std::string prefix_, suffix_;  // of pieces inside a word, of those at its end
  MergeTable merges_;
  std::array<std::int32_t, 256> bytes_;
  std::array<std::int32_t, 0x180>
      characters_{};  // the pieces of the first characters: the byte alphabet is there
  std::int32_t unknown_ = -1;
  bool names_unknown_ = false, fuses_unknown_, has_byte_fallback_, takes_whole_words_;
  WordCache cache_;
};

}  // namespace

std::unique_ptr<const Model> make_byte_pairs(const formats::Json& json) {
  return std::make_unique<BytePairs>(json);
}

}  // namespace fovea::text::pipeline
