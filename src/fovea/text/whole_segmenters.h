#pragma once

#include <string_view>
#include <unordered_map>

#include "fovea/text/piece_trie.h"
#include "fovea/text/segmenter.h"
#include "fovea/text/sentencepiece_proto.h"

namespace fovea::text {

/// The pieces that text may become, by what they say: control pieces and the like are left out, so that no
/// text can write them.
class WholePieces {
 public:
  /// Views into `proto`, which must outlive this.
  WholePieces(const SentencePieceProto& proto, std::int32_t unk);
  /// The id of that piece, or of the unknown one.
  std::int32_t id(std::string_view piece) const;

 private:
  std::unordered_map<std::string_view, std::int32_t> ids_;
  std::int32_t unk_;
};

/// Every character is a piece, and every user-defined symbol. Source: google/sentencepiece,
/// src/char_model.cc.
class CharacterSegmenter final : public Segmenter {
 public:
  /// `proto` and `symbols` must outlive this.
  CharacterSegmenter(const SentencePieceProto& proto, const PieceTrie* symbols, std::int32_t unk)
      : pieces_(proto, unk), symbols_(*symbols) {}
  void segment(std::string_view text, std::vector<Segment>& out) const override;

 private:
  WholePieces pieces_;
  const PieceTrie& symbols_;
};

/// Every word is a piece, with the space before it. Source: google/sentencepiece, src/word_model.cc.
class WordSegmenter final : public Segmenter {
 public:
  /// `proto` must outlive this.
  WordSegmenter(const SentencePieceProto& proto, std::int32_t unk) : pieces_(proto, unk) {}
  void segment(std::string_view text, std::vector<Segment>& out) const override;

 private:
  WholePieces pieces_;
};

}  // namespace fovea::text
