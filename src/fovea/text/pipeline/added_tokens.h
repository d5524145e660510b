#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "fovea/formats/json.h"
#include "fovea/text/piece_trie.h"
#include "fovea/text/pipeline/normaliser.h"
#include "fovea/text/pipeline/piece_table.h"
#include "fovea/text/pipeline/split_text.h"

namespace fovea::text::pipeline {

/// Tokens that are found in a text before anything else cuts it: special ones like [MASK] and those that were
/// added to a vocabulary. The longest one at the leftmost place is taken; those marked `normalized` are
/// looked for in the normalised text, by their own normalised form, the others before.
class AddedTokens {
 public:
  AddedTokens() = default;
  AddedTokens(AddedTokens&&) = default;
  AddedTokens& operator=(AddedTokens&&) = default;
  /// The list `added_tokens`. A token that `pieces` has keeps its id there; the others get the next ones, as
  /// in Hugging Face's library, which does not go by the ids written in the file. Throws Error(model) naming
  /// file and place for tokens empty or longer than 4096 bytes, or a field missing or wrong.
  AddedTokens(const formats::Json& json, const PieceTable& pieces, const Normaliser* normaliser);

  /// Cuts out the tokens that are looked for before normalising, then those after; in between, `normaliser`
  /// (nullable) works on each of the other parts.
  SplitText cut(std::string_view text, bool tracks, const Normaliser* normaliser) const;

  std::int32_t find(std::string_view content) const;  ///< -1 if there is none
  bool has(std::int32_t id) const { return tokens_.contains(id); }
  bool is_special(std::int32_t id) const;
  /// What decoders get to see; empty if there is no such token.
  std::string_view text_of(std::int32_t id) const;
  std::string_view content_of(std::int32_t id) const;
  std::int32_t end() const { return end_; }  ///< largest id + 1; 0 if there are none

 private:
  struct Token {
    std::string content;
    std::string pattern;  // what is looked for: the content, normalised if that is asked
    bool single_word, strips_left, strips_right, normalised, special;
    bool hidden = false;  // from those who decode without special tokens
  };
  /// Those that are looked for at the same time.
  struct Finder {
    void add(std::string_view pattern, std::int32_t id);
    void build();
    PieceTrie trie;
    std::vector<std::pair<std::string_view, std::int32_t>> keys;
    std::array<bool, 256> begins{};  // bytes that a pattern begins with
  };
  struct Match {
    std::size_t begin, end;
    std::int32_t id;
  };

  std::vector<Match> matches_in(std::string_view text, const Finder& finder) const;
  bool accept(std::string_view text, std::size_t from, Match& match) const;
  void cut_at(const AlignedText& text, const Finder& finder, std::uint32_t begin, std::uint32_t end,
              std::vector<Split>& out) const;

  std::unordered_map<std::int32_t, Token> tokens_;
  std::unordered_map<std::string_view, std::int32_t> ids_;  // views into tokens_
  Finder before_, after_;                                   // normalising
  std::int32_t end_ = 0;
};

}  // namespace fovea::text::pipeline
