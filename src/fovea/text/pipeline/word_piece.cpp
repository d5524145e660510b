#include "fovea/text/piece_trie.h"
#include "fovea/text/pipeline/models.h"
#include "fovea/text/utf8.h"

namespace fovea::text::pipeline {
namespace {

/// Takes, from left to right, the longest piece that fits; pieces inside a word begin with a prefix. A word
/// that does not come out, or is too long, is unknown as a whole. Source: Schuster and Nakajima 2012,
/// "Japanese and Korean voice search"; google-research/bert, tokenization.py.
class WordPiece final : public Model {
 public:
  explicit WordPiece(const formats::Json& json)
      : Model(PieceTable::parse_object(json.at("vocab"))),
        unknown_(unknown_id(json.at("unk_token"), pieces())),
        most_characters_(json.integer_or("max_input_chars_per_word", 100, 0)) {
    std::vector<std::pair<std::string_view, std::int32_t>> keys;
    keys.reserve(pieces().size());
    for (std::int32_t id = 0; id < pieces().end(); ++id) {
      const std::string_view piece = pieces().piece(id);
      if (piece.find('\0') != std::string_view::npos) json.at("vocab").reject("a piece with a NUL");
      if (!piece.empty()) keys.emplace_back(piece, id);
    }
    trie_ = PieceTrie(std::move(keys));
    continuing_ = trie_.empty() ? PieceTrie::Node{}
                                : trie_.walk(trie_.root(), json.text_or("continuing_subword_prefix", "##"));
  }

  void tokenise(std::string_view word, std::vector<WordToken>& out) const override {
    const auto size = static_cast<std::uint32_t>(word.size());
    const std::size_t first = out.size();
    bool known = !too_long(word);
    for (std::uint32_t begin = 0; known && begin < size;) {
      const WordToken token = longest_piece(word, begin);
      known = token.end > begin;
      out.push_back(token);
      begin = token.end;
    }
    if (known) return;
    out.resize(first);
    out.push_back({unknown_, 0, size});
  }

 private:
  bool too_long(std::string_view word) const {
    if (static_cast<std::int64_t>(word.size()) <= most_characters_) return false;
    std::int64_t characters = 0;
    for (const char c : word) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    return characters > most_characters_;
  }

  WordToken longest_piece(std::string_view word, std::uint32_t begin) const {
    WordToken token{-1, begin, begin};
    PieceTrie::Node node = begin == 0 ? trie_.root() : continuing_;
    for (std::uint32_t at = begin; at < word.size() && !node.nowhere();) {
      node = trie_.step(node, word[at++]);
      if (!node.nowhere() && node.value() >= 0) token = {node.value(), begin, at};
    }
    return token;
  }

  PieceTrie trie_;
  PieceTrie::Node continuing_;  // where the prefix leads
  std::int32_t unknown_;
  std::int64_t most_characters_;
};

}  // namespace

std::unique_ptr<const Model> make_word_piece(const formats::Json& json) {
  return std::make_unique<WordPiece>(json);
}

}  // namespace fovea::text::pipeline
