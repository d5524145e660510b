#include <algorithm>
#include <limits>

#include "fovea/text/piece_trie.h"
#include "fovea/text/pipeline/models.h"
#include "fovea/text/pipeline/word_cache.h"
#include "fovea/text/utf8.h"

namespace fovea::text::pipeline {
namespace {

/// [[piece, score], ...]: a piece that is there twice has the later id.
std::pair<PieceTable, std::vector<double>> parse_vocabulary(const formats::Json& json) {
  if (json.size() > PieceTable::most_pieces) json.reject("has more than 4 million pieces");
  PieceTable pieces;
  pieces.reserve(json.size(), 8 * json.size());
  std::vector<double> scores;
  scores.reserve(json.size());
  for (const formats::Json& entry : json.elements()) {
    if (entry.size() != 2) entry.reject("is not a piece and its score");
    auto part = entry.elements().begin();
    const formats::Json piece = *part;
    ++part;
    if (piece.text().size() > PieceTable::longest_piece) piece.reject("is longer than 4096 bytes");
    if (piece.text().find('\0') != std::string_view::npos) piece.reject("a piece with a NUL");
    pieces.add(piece.text(), static_cast<std::int32_t>(scores.size()));
    scores.push_back((*part).number());
  }
  return {std::move(pieces), std::move(scores)};
}

/// The cut with the highest sum of scores (log probabilities), by Viterbi; of equals the one whose last piece
/// is longer. A character without a piece of its own scores 10 below the worst piece; runs of such are one
/// unknown token, or their bytes. Scores add up in double, from the word's beginning. Source: Kudo 2018,
/// "Subword regularization"; huggingface/tokenizers, models/unigram/model.rs.
class Unigram final : public Model {
 public:
  explicit Unigram(const formats::Json& json) : Unigram(json, parse_vocabulary(json.at("vocab"))) {}

  void tokenise(std::string_view word, std::vector<WordToken>& out) const override {
    if (cache_.find(word, out)) return;
    const std::size_t first = out.size();
    std::vector<WordToken> path = best_path(word);
    for (std::size_t i = 0; i < path.size(); ++i) {
      WordToken token = path[i];
      if (token.id == unknown_) {
        while (i + 1 < path.size() && path[i + 1].id == unknown_) token.end = path[++i].end;
        add_unknown(word, token, out);
      } else {
        out.push_back(token);
      }
    }
    cache_.keep(word, out, first);
  }

 private:
  Unigram(const formats::Json& json, std::pair<PieceTable, std::vector<double>> vocabulary)
      : Model(std::move(vocabulary.first)),
        scores_(std::move(vocabulary.second)),
        bytes_(byte_pieces(pieces())),
        has_byte_fallback_(json.boolean_or("byte_fallback", false)) {
    if (const auto unknown = json.find("unk_id")) {
      if (scores_.empty()) unknown->reject("is an id of an empty vocabulary");
      unknown_ =
          static_cast<std::int32_t>(unknown->integer(0, static_cast<std::int64_t>(scores_.size()) - 1));
    }
    unknown_score_ = (scores_.empty() ? 0.0 : std::ranges::min(scores_)) - 10.0;
    std::vector<std::pair<std::string_view, std::int32_t>> keys;
    keys.reserve(scores_.size());
    for (std::int32_t id = 0; id < pieces().end(); ++id) {
      const std::string_view piece = pieces().piece(id);
      if (!piece.empty() && pieces().find(piece) == id) keys.emplace_back(piece, id);
    }
    trie_ = PieceTrie(std::move(keys));
  }

  /// The best path that ends at a byte of the word.
  struct Cell {
    double score = 0.0;
    std::int32_t id = -1;
    std::uint32_t begin = none;  // of its last piece; none: no path yet
  };
  static constexpr std::uint32_t none = 0xFFFFFFFF;

  std::vector<WordToken> best_path(std::string_view word) const {
    std::vector<Cell> cells(word.size() + 1);
    const auto offer = [&](std::uint32_t begin, std::uint32_t end, double score, std::int32_t id) {
      Cell& cell = cells[end];
      if (cell.begin == none || score > cell.score) cell = {score, id, begin};
    };
    for (std::uint32_t begin = 0; begin < word.size();) {
      const double so_far = cells[begin].score;
      const std::uint32_t character = claimed_length(static_cast<unsigned char>(word[begin]));
      bool known = false;
      PieceTrie::Node node = trie_.root();
      for (std::uint32_t end = begin; end < word.size() && !node.nowhere();) {
        node = trie_.step(node, word[end++]);
        if (node.nowhere() || node.value() < 0) continue;
        offer(begin, end, scores_[static_cast<std::size_t>(node.value())] + so_far, node.value());
        known |= end - begin == character;
      }
      if (!known) {
        if (unknown_ < 0) refuse_unknown(word.substr(begin, character));
        offer(begin, begin + character, unknown_score_ + so_far, unknown_);
      }
      begin += character;
    }
    std::vector<WordToken> path;
    for (auto end = static_cast<std::uint32_t>(word.size()); end > 0; end = cells[end].begin)
      path.push_back({cells[end].id, cells[end].begin, end});
    std::ranges::reverse(path);
    return path;
  }

  /// A run of unknown characters: the piece it is as a whole, if it is one; its bytes; or unknown.
  void add_unknown(std::string_view word, WordToken run, std::vector<WordToken>& out) const {
    const std::string_view text = word.substr(run.begin, run.end - run.begin);
    const std::int32_t whole = pieces().find(text);
    const auto has_byte = [&](char c) { return bytes_[static_cast<unsigned char>(c)] >= 0; };
    if (whole < 0 && has_byte_fallback_ && std::ranges::all_of(text, has_byte)) {
      for (const char c : text) out.push_back({bytes_[static_cast<unsigned char>(c)], run.begin, run.end});
      return;
    }
    out.push_back({whole < 0 ? unknown_ : whole, run.begin, run.end});
  }

  std::vector<double> scores_;
  PieceTrie trie_;
  std::array<std::int32_t, 256> bytes_;
  std::int32_t unknown_ = -1;
  double unknown_score_ = 0.0;
  bool has_byte_fallback_;
  WordCache cache_;
};

}  // namespace

std::unique_ptr<const Model> make_unigram(const formats::Json& json) {
  return std::make_unique<Unigram>(json);
}

}  // namespace fovea::text::pipeline
