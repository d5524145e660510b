#pragma once

#include <bitset>
#include <memory>
#include <vector>

#include "fovea/text/piece_trie.h"
#include "fovea/text/segmenter.h"
#include "fovea/text/sentencepiece_proto.h"

namespace fovea::text {

/// Byte-pair encoding as SentencePiece does it: characters, then again and again the neighbouring pair whose
/// concatenation is the piece of the highest score, the leftmost of equals. User-defined symbols take no
/// part; an unused piece is taken apart again. Two neighbouring characters that stand side by side in no
/// piece can never be merged, so the text is cut there and each part (about a word) is worked on alone:
/// linear time for text, n log n within a part. Source: Sennrich et al. 2016, section 3.2;
/// google/sentencepiece, src/bpe_model.cc.
class BpeSegmenter final : public Segmenter {
 public:
  /// `user_symbols` must outlive this.
  BpeSegmenter(const SentencePieceProto& proto, const PieceTrie* user_symbols, std::int32_t unk);

  void segment(std::string_view text, std::vector<Segment>& out) const override;

 private:
  struct Symbol;
  struct Pair;
  struct Workspace;
  /// Which pairs of characters stand side by side in some piece, hashed: it may say yes too often, never no.
  using Neighbours = std::bitset<std::size_t{1} << 18>;

  void add_pair(Workspace& work, std::int32_t left, std::int32_t right) const;
  void merge(Workspace& work) const;
  void emit(Workspace& work, std::vector<Segment>& out) const;
  void emit_unused(Workspace& work, Segment segment, std::vector<Segment>& out) const;

  PieceTrie trie_;
  std::vector<float> scores_;
  std::vector<bool> unused_;
  std::unique_ptr<Neighbours> neighbours_;
  const PieceTrie* user_symbols_ = nullptr;
  bool has_unused_ = false;
  std::int32_t unk_ = 0;
};

}  // namespace fovea::text
