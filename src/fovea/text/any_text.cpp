#include "fovea/text/any_text.h"

#include <array>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/formats/json.h"
#include "fovea/text/load_tokenizer.h"
#include "fovea/text/tokenizer_json.h"

namespace fovea::text {
namespace {

constexpr std::uint64_t largest_file = 256u << 20;  // bytes

// Any of these may be there; the first three each make a tokenizer, the others with them.
constexpr std::array names{"tokenizer.json", "spiece.model",          "sentencepiece.bpe.model",
                           "merges.txt",     "tokenizer_config.json", "special_tokens_map.json",
                           "vocab.json",     "added_tokens.json"};

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

std::shared_ptr<const Tokenizer> load(const std::filesystem::path& directory) {
  const auto path = directory / "tokenizer.json";
  if (!is_there(path)) return load_tokenizer(directory);
  const auto tokenizer = TokenizerJson::parse(
      read_file(path, formats::JsonLimits::tokenizer().bytes, Error::Kind::model), path.string());
  // How long a text may be is the model's affair, and it takes texts without filling them up.
  tokenizer->set_truncation({});
  tokenizer->set_padding({});
  return tokenizer;
}

std::vector<std::string> pieces_of(const Tokenizer& tokenizer) {
  std::vector<std::string> pieces;
  for (std::int32_t id = 0; id < tokenizer.size(); ++id) pieces.push_back(tokenizer.piece(id));
  return pieces;
}

// How byte-level BPE writes a space at the beginning of a piece.
constexpr std::string_view byte_level_space = "\u0120";

}  // namespace

bool AnyText::is_in(const std::filesystem::path& directory) {
  return is_there(directory / "tokenizer.json") || is_there(directory / "spiece.model") ||
         is_there(directory / "merges.txt");
}

std::shared_ptr<const AnyText> AnyText::read(const std::filesystem::path& directory) {
  std::map<std::string, std::string> files;
  for (const char* name : names)
    if (is_there(directory / name))
      files[name] = read_file(directory / name, largest_file, Error::Kind::model);
  return std::shared_ptr<const AnyText>(new AnyText(load(directory), std::move(files), directory.string()));
}

AnyText::AnyText(std::shared_ptr<const Tokenizer> tokenizer, std::map<std::string, std::string> files,
                 const std::string& where)
    : tokenizer_(std::move(tokenizer)),
      vocabulary_(Vocabulary::of(pieces_of(*tokenizer_), where + ": tokenizer")),
      files_(std::move(files)) {}

Encoding AnyText::framed(std::string_view text) const {
  Encoding encoding = tokenizer_->encode(text);
  if (encoding.ids.empty() || encoding.ids.back() != vocabulary_.eos())
    encoding.append(vocabulary_.eos(), {}, -1, 0, -1, true);
  return encoding;
}

std::string AnyText::decode(std::span<const std::int32_t> ids, std::span<const std::string> unknown) const {
  std::string text;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < ids.size() && !unknown.empty(); ++i) {
    if (ids[i] != vocabulary_.unk()) continue;
    text += tokenizer_->decode(ids.subspan(begin, i - begin));
    std::string_view word = unknown.front();
    if (word.starts_with(space_symbol)) {
      word.remove_prefix(space_symbol.size());
      if (!text.empty()) text += ' ';
    }
    text += word;
    unknown = unknown.subspan(1);
    begin = i + 1;
  }
  const std::string rest = tokenizer_->decode(ids.subspan(begin));
  if (begin > 0 && begin < ids.size() && tokenizer_->piece(ids[begin]).starts_with(space_symbol)) text += ' ';
  return text + rest;
}

std::vector<std::string> AnyText::pieces(std::span<const std::int32_t> ids) const {
  std::vector<std::string> out;
  for (const std::int32_t id : ids) {
    std::string piece = tokenizer_->piece(id);
    const std::string text = tokenizer_->decode(std::array{id}, false);
    if (piece.starts_with(byte_level_space) && text.starts_with(' '))
      piece = std::string(space_symbol) + text.substr(1);
    else if (!text.empty() && piece.find(space_symbol) == std::string::npos)
      piece = text;
    out.push_back(std::move(piece));
  }
  return out;
}

}  // namespace fovea::text
