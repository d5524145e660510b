#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "fovea/formats/json.h"
#include "fovea/text/pipeline/piece_table.h"

namespace fovea::text::pipeline {

/// A token and the bytes of its word that it stands for.
struct WordToken {
  std::int32_t id;
  std::uint32_t begin, end;
};

/// Cuts words into tokens.
class Model {
 public:
  virtual ~Model() = default;
  /// Appends the tokens of a word: UTF-8, not empty, below 2^31 bytes. May be called from many threads.
  /// Throws Error(data) for a character that the model has neither a token nor an unknown token for.
  virtual void tokenise(std::string_view word, std::vector<WordToken>& out) const = 0;

  const PieceTable& pieces() const { return pieces_; }

 protected:
  explicit Model(PieceTable pieces) : pieces_(std::move(pieces)) {}

 private:
  PieceTable pieces_;
};

/// The model of a tokenizer.json: BPE, WordPiece, WordLevel or Unigram. Throws Error(model) naming file and
/// place: another type, a field missing or wrong, a vocabulary or merges that do not hold together.
std::unique_ptr<const Model> parse_model(const formats::Json& json);

}  // namespace fovea::text::pipeline
