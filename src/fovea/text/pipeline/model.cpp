#include "fovea/text/pipeline/model.h"

#include <cstdio>

#include "fovea/text/pipeline/models.h"

namespace fovea::text::pipeline {
namespace {

class WordLevel final : public Model {
 public:
  explicit WordLevel(const formats::Json& json)
      : Model(PieceTable::parse_object(json.at("vocab"))),
        unknown_(unknown_id(json.at("unk_token"), pieces())) {}

  void tokenise(std::string_view word, std::vector<WordToken>& out) const override {
    const std::int32_t found = pieces().find(word);
    out.push_back({found < 0 ? unknown_ : found, 0, static_cast<std::uint32_t>(word.size())});
  }

 private:
  std::int32_t unknown_;
};

/// What a file from before types were written must be.
std::string_view type_of(const formats::Json& json) {
  if (json.has("type")) return json.at("type").text();
  if (json.has("merges")) return "BPE";
  if (json.has("max_input_chars_per_word")) return "WordPiece";
  return json.at("vocab").is_array() ? "Unigram" : "WordLevel";
}

}  // namespace

std::int32_t unknown_id(const formats::Json& json, const PieceTable& pieces) {
  const std::int32_t id = pieces.find(json.text());
  if (id < 0) json.reject("is no piece of the vocabulary");
  return id;
}

std::array<std::int32_t, 256> byte_pieces(const PieceTable& pieces) {
  std::array<std::int32_t, 256> ids;
  for (unsigned byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    ids[byte] = pieces.find(name);
  }
  return ids;
}

void refuse_unknown(std::string_view character) {
  throw Error(Error::Kind::data, "tokenizer",
              "'" + printable(character) + "' is in no piece, and the vocabulary has no unknown token");
}

std::unique_ptr<const Model> make_word_level(const formats::Json& json) {
  return std::make_unique<WordLevel>(json);
}

std::unique_ptr<const Model> parse_model(const formats::Json& json) {
  const std::string_view type = type_of(json);
  if (type == "BPE") return make_byte_pairs(json);
  if (type == "WordPiece") return make_word_piece(json);
  if (type == "Unigram") return make_unigram(json);
  if (type == "WordLevel") return make_word_level(json);
  json.at("type").reject("a model that fovea does not have", "BPE, WordPiece, Unigram or WordLevel");
}

}  // namespace fovea::text::pipeline
