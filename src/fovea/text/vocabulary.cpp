#include "fovea/text/vocabulary.h"

#include "fovea/base/error.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"

namespace fovea::text {
namespace {

[[noreturn]] void fail(std::string_view where, const std::string& what) {
  throw Error(Error::Kind::model, where, what, "the vocabulary does not fit a translation model");
}

std::vector<std::string> pieces_of(const SentencePieceModel& model) {
  std::vector<std::string> pieces;
  pieces.reserve(static_cast<std::size_t>(model.size()));
  for (std::int32_t id = 0; id < model.size(); ++id) pieces.emplace_back(model.piece(id));
  return pieces;
}

}  // namespace

Vocabulary::Vocabulary(const SentencePieceModel& model)
    : Vocabulary(pieces_of(model), "the SentencePiece model") {}

Vocabulary::Vocabulary(std::vector<std::string> pieces, std::string_view where) : pieces_(std::move(pieces)) {
  ids_.reserve(pieces_.size());
  for (std::size_t id = 0; id < pieces_.size(); ++id)
    if (!pieces_[id].empty()) ids_.emplace(pieces_[id], static_cast<std::int32_t>(id));
  const auto special = [&](std::string_view piece) {
    const std::int32_t id = find(piece);
    if (id < 0) fail(where, "it has no piece " + std::string(piece));
    return id;
  };
  eos_ = special("</s>");
  unk_ = special("<unk>");
  pad_ = special("<pad>");
}

Vocabulary Vocabulary::parse(std::string_view json, std::string_view where) {
  const auto root =
      formats::Json::parse(json, {std::string(where), Error::Kind::model}, {.bytes = std::size_t{64} << 20});
  // Ids may have gaps, but not such that a small file makes a large table.
  const std::size_t limit = 2 * root.size() + 1000;
  std::vector<std::string> pieces;
  for (const auto& [piece, value] : root.members()) {
    const std::string name = "piece '" + printable(piece, 40) + "'";
    if (piece.empty()) fail(where, "an empty piece");
    if (value.type() != formats::Json::Type::natural)
      fail(where, name + " has an id that is no natural number");
    const auto id = static_cast<std::size_t>(value.integer(0));
    if (id >= limit)
      fail(where,
           name + " has the id " + std::to_string(id) + " in a vocabulary of " + std::to_string(root.size()));
    if (id >= pieces.size()) pieces.resize(id + 1);
    if (!pieces[id].empty())
      fail(where, name + " has the id " + std::to_string(id) + " of '" + printable(pieces[id], 40) + "'");
    pieces[id] = piece;
  }
  return Vocabulary(std::move(pieces), where);
}

Vocabulary Vocabulary::extended(const std::vector<std::string>& more) const {
  auto pieces = pieces_;
  for (const std::string& piece : more)
    if (find(piece) < 0) pieces.push_back(piece);
  return Vocabulary(std::move(pieces), "vocabulary");
}

std::string Vocabulary::json() const {
  formats::JsonWriter json;
  json.begin_object();
  for (std::size_t id = 0; id < pieces_.size(); ++id)
    if (!pieces_[id].empty()) json.field(pieces_[id], id);
  return json.end_object().finish();
}

std::int32_t Vocabulary::find(std::string_view piece) const {
  const auto found = ids_.find(piece);
  return found == ids_.end() ? -1 : found->second;
}

std::string_view Vocabulary::piece(std::int32_t id) const {
  if (id < 0 || id >= size())
    throw Error(Error::Kind::data, "tokenizer",
                "id " + std::to_string(id) + " in a vocabulary of " + std::to_string(size()));
  return pieces_[static_cast<std::size_t>(id)];
}

}  // namespace fovea::text
