#include "fovea/text/legacy_settings.h"

#include <algorithm>
#include <charconv>

#include "fovea/base/error.h"
#include "fovea/formats/adapter.h"

namespace fovea::text {
namespace {

using formats::Json;

std::optional<Json> read_if_there(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  return formats::read_json(path, Error::Kind::model, formats::JsonLimits::tokenizer());
}

/// A text, or an object as AddedToken is written.
AddedPiece piece_of(const Json& json) {
  if (!json.is_object()) return {.content = std::string(json.text())};
  return {.content = std::string(json.at("content").text()),
          .single_word = json.boolean_or("single_word", false),
          .lstrip = json.boolean_or("lstrip", false),
          .rstrip = json.boolean_or("rstrip", false),
          .normalized = json.boolean_or("normalized", false),
          .special = json.boolean_or("special", true)};
}

/// Pieces with the numbers they have, in their order.
using Numbered = std::map<std::int64_t, AddedPiece>;

void add_numbered(Numbered& out, const Json& decoder) {
  for (const auto& [key, value] : decoder.members()) {
    std::int64_t id = 0;
    const char* end = key.data() + key.size();
    if (std::from_chars(key.data(), end, id).ptr != end || id < 0) value.reject("its key is no id");
    out.insert_or_assign(id, piece_of(value));
  }
}

}  // namespace

LegacySettings::LegacySettings(const std::filesystem::path& directory)
    : config_(read_if_there(directory / "tokenizer_config.json")),
      map_(read_if_there(directory / "special_tokens_map.json")),
      numbered_(read_if_there(directory / "added_tokens.json")) {
  kind_ = text("tokenizer_class").value_or("");
  if (kind_.ends_with("Fast")) kind_.resize(kind_.size() - 4);
  if (!kind_.empty() && kind_ != "PreTrainedTokenizer") return;
  const auto model = read_if_there(formats::papers_of(directory, {"config.json"}) / "config.json");
  kind_ = model ? model->text_or("model_type", "") : "";
}

std::optional<Json> LegacySettings::find(std::string_view key) const {
  return config_ ? config_->find(key) : std::nullopt;
}

bool LegacySettings::flag(std::string_view key, bool otherwise) const {
  return config_ ? config_->boolean_or(key, otherwise) : otherwise;
}

std::int64_t LegacySettings::whole(std::string_view key, std::int64_t otherwise, std::int64_t least,
                                   std::int64_t most) const {
  return config_ ? config_->integer_or(key, otherwise, least, most) : otherwise;
}

std::optional<std::string> LegacySettings::text(std::string_view key) const {
  const auto found = find(key);
  return found ? std::optional<std::string>(found->text()) : std::nullopt;
}

bool LegacySettings::says(std::string_view key) const { return find(key).has_value(); }

std::string LegacySettings::special(const std::string& name, std::string_view otherwise, bool lstrip) {
  AddedPiece piece{.content = std::string(otherwise), .lstrip = lstrip};
  for (const auto* file : {&map_, &config_})
    if (const auto found = *file ? (*file)->find(name) : std::nullopt) {
      piece = piece_of(*found);
      if (!found->is_object()) piece.lstrip = lstrip;
    }
  if (piece.content.empty()) return {};
  piece.special = true;
  specials_.emplace_back(name, piece.content);
  special_pieces_.push_back(piece);
  return piece.content;
}

std::vector<AddedPiece> LegacySettings::added(const std::vector<AddedPiece>& more) const {
  std::vector<AddedPiece> out;
  const auto add = [&](const AddedPiece& piece) {
    const auto same = [&](const AddedPiece& known) { return known.content == piece.content; };
    if (!piece.content.empty() && std::none_of(out.begin(), out.end(), same)) out.push_back(piece);
  };
  const auto is_special = [&](const std::string& content) {
    return std::any_of(special_pieces_.begin(), special_pieces_.end(),
                       [&](const AddedPiece& piece) { return piece.content == content; });
  };
  Numbered numbered;
  if (numbered_)
    for (const auto& [content, id] : numbered_->members()) {
      AddedPiece piece{.content = std::string(content)};
      piece.special = is_special(piece.content);
      piece.normalized = !piece.special;
      numbered.insert_or_assign(id.integer(0), piece);
    }
  if (const auto decoder = find("added_tokens_decoder")) add_numbered(numbered, *decoder);
  for (const auto& [_, piece] : numbered) add(piece);
  for (const AddedPiece& piece : special_pieces_) add(piece);
  for (const auto* file : {&map_, &config_})
    if (const auto further = *file ? (*file)->find("additional_special_tokens") : std::nullopt)
      for (const Json& entry : further->elements()) add(piece_of(entry));
  for (const AddedPiece& piece : more) add(piece);
  return out;
}

}  // namespace fovea::text
