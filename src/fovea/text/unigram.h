#pragma once

#include <vector>

#include "fovea/text/piece_trie.h"
#include "fovea/text/segmenter.h"
#include "fovea/text/sentencepiece_proto.h"

namespace fovea::text {

/// The segmentation with the highest sum of piece scores (log probabilities), by Viterbi.
/// An unknown character scores 10 below the worst piece; a user-defined symbol nearly 0, so it always wins.
/// Scores add up in float in SentencePiece's order, so ties and rounding fall as they do there.
/// Cost: bytes of the text times the length of the longest match at each character; memory: one window
/// between points that every path passes. Source: Kudo 2018, "Subword regularization"; google/sentencepiece,
/// src/unigram_model.cc.
class UnigramSegmenter final : public Segmenter {
 public:
  /// `proto` must outlive this no longer than the call.
  UnigramSegmenter(const SentencePieceProto& proto, std::int32_t unk);

  void segment(std::string_view text, std::vector<Segment>& out) const override;

  double score(std::int32_t id) const {
    return id == unk_ ? unk_score_ : scores_[static_cast<std::size_t>(id)];
  }

 private:
  /// The best path that ends at a byte of the window.
  struct Cell {
    float score = 0.0f;
    std::int32_t id = -1;      // last piece of the path; -1 = no path yet
    std::uint32_t length = 0;  // of the last piece, in bytes
  };

  PieceTrie trie_;
  std::vector<double> scores_;
  float unk_score_ = 0.0f;
  std::int32_t unk_ = 0;
};

}  // namespace fovea::text
