#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fovea/text/sentencepiece.h"

namespace fovea::text {

/// The ids of a model's vocabulary: which piece has which, as `vocab.json` says.
class Vocabulary {
 public:
  /// The ids of a SentencePiece model itself.
  explicit Vocabulary(const SentencePieceModel& model);

  /// Reads a JSON object piece -> id. Throws Error(model) naming `where` for bad JSON, a piece or an id that
  /// is there twice, ids below 0 or far above the number of pieces, or if `<unk>`, `</s>` or `<pad>` is
  /// missing.
  static Vocabulary parse(std::string_view json, std::string_view where);

  /// The pieces of any tokenizer, by their ids; an empty one is none. Throws Error(model) as parse() does.
  static Vocabulary of(std::vector<std::string> pieces, std::string_view where) {
    return Vocabulary(std::move(pieces), where);
  }
  /// This one with further pieces behind its last, those that it has left out.
  Vocabulary extended(const std::vector<std::string>& more) const;

  /// The same as JSON, in order of ids.
  std::string json() const;

  std::int32_t size() const { return static_cast<std::int32_t>(pieces_.size()); }  ///< largest id + 1
  std::int32_t find(std::string_view piece) const;                                 ///< -1 if there is none
  std::string_view piece(
      std::int32_t id) const;  ///< empty for an id without piece; throws Error(data) out of range

  std::int32_t eos() const { return eos_; }
  std::int32_t unk() const { return unk_; }
  std::int32_t pad() const { return pad_; }

  friend bool operator==(const Vocabulary& a, const Vocabulary& b) { return a.pieces_ == b.pieces_; }

 private:
  Vocabulary(std::vector<std::string> pieces, std::string_view where);

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  std::vector<std::string> pieces_;
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;
  std::int32_t eos_ = -1, unk_ = -1, pad_ = -1;
};

}  // namespace fovea::text
