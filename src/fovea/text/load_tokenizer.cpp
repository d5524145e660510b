#include "fovea/text/load_tokenizer.h"

#include <array>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/formats/adapter.h"
#include "fovea/formats/json.h"
#include "fovea/text/legacy_tokenizer.h"
#include "fovea/text/marian_tokenizer.h"
#include "fovea/text/tokenizer_json.h"

namespace fovea::text {
namespace {

using formats::Json;

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

/// What the files call a special token: its text, or an object with "content".
std::int32_t id_of(const Json& settings, std::string_view key, const Tokenizer& tokenizer) {
  const auto found = settings.find(key);
  if (!found) return -1;
  const Json content = found->is_object() ? found->at("content") : *found;
  return tokenizer.find(content.text());
}

std::array<std::pair<std::string_view, std::int32_t*>, 7> names_of(SpecialIds& ids) {
  return {{{"bos_token", &ids.bos},
           {"eos_token", &ids.eos},
           {"unk_token", &ids.unk},
           {"sep_token", &ids.sep},
           {"pad_token", &ids.pad},
           {"cls_token", &ids.cls},
           {"mask_token", &ids.mask}}};
}

/// Ids that are not known yet, as `settings` names them.
void add_special(const Json& settings, const Tokenizer& tokenizer, SpecialIds& ids) {
  for (const auto& [name, id] : names_of(ids))
    if (*id < 0) *id = id_of(settings, name, tokenizer);
}

/// model_max_length; 0 for none and for one far too large (1e30 is common).
std::size_t max_length_of(const Json& settings) {
  const double length = settings.number_or("model_max_length", 0.0, 0.0);
  return length > 1e9 ? 0 : static_cast<std::size_t>(length);
}

std::shared_ptr<TokenizerJson> parse_file(const std::filesystem::path& path) {
  const auto limits = formats::JsonLimits::tokenizer();
  return TokenizerJson::parse(read_file(path, limits.bytes, Error::Kind::model), shown(path));
}

/// What the files beside it say of a tokenizer; where they say nothing, `defaults` do.
std::shared_ptr<const Tokenizer> with_settings(
    const std::shared_ptr<TokenizerJson>& tokenizer, const std::filesystem::path& directory, Lengths lengths,
    const std::vector<std::pair<std::string, std::string>>& defaults = {}) {
  SpecialIds ids;
  for (const char* file : {"tokenizer_config.json", "special_tokens_map.json"}) {
    if (!is_there(directory / file)) continue;
    const Json settings = formats::read_json(directory / file, Error::Kind::model);
    add_special(settings, *tokenizer, ids);
    if (tokenizer->max_length() == 0) tokenizer->set_max_length(max_length_of(settings));
  }
  for (const auto& [name, id] : names_of(ids))
    for (const auto& [special, text] : defaults)
      if (*id < 0 && special == name) *id = tokenizer->find(text);
  tokenizer->set_special(ids);
  if (lengths == Lengths::free) {
    tokenizer->set_truncation(std::nullopt);
    tokenizer->set_padding(std::nullopt);
  }
  return tokenizer;
}

}  // namespace

std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& folder, Lengths lengths) {
  const auto directory = formats::tokenizer_papers_of(folder);
  if (is_there(directory / "tokenizer.json"))
    return with_settings(parse_file(directory / "tokenizer.json"), directory, lengths);
  if (is_there(directory / "source.spm"))
    return std::make_shared<MarianTokenizer>(TranslationTokenizer::read(directory));
  if (const auto legacy = read_legacy_tokenizer(directory))
    return with_settings(TokenizerJson::parse(legacy->json, legacy->where), directory, lengths,
                         legacy->special);
  throw Error(
      Error::Kind::model, shown(directory), "has no tokenizer",
      "tokenizer.json was looked for, source.spm with target.spm, vocab.txt, vocab.json with merges.txt, and "
      "SentencePiece's spiece.model, sentencepiece.bpe.model, tokenizer.model and spm.model");
}

std::vector<std::pair<std::string, std::string>> tokenizer_files(const std::filesystem::path& directory) {
  const auto papers = formats::tokenizer_papers_of(directory);
  std::vector<std::pair<std::string, std::string>> files;
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "chat_template.jinja", "vocab.txt", "vocab.json", "merges.txt", "source.spm", "target.spm",
        "sentencepiece.bpe.model", "spiece.model", "spm.model", "tokenizer.model"})
    if (is_there(papers / name))
      files.emplace_back(
          name, read_file(papers / name, formats::JsonLimits::tokenizer().bytes, Error::Kind::model));
  return files;
}

}  // namespace fovea::text
