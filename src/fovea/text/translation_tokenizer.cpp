#include "fovea/text/translation_tokenizer.h"

#include <limits>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"
#include "fovea/text/normaliser.h"
#include "fovea/text/surrounding_word.h"

namespace fovea::text {
namespace {

constexpr std::uint64_t largest_file = 64u << 20;  // bytes

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(Error::Kind::model, where, what, "a MarianTokenizer's files were expected");
}

// model_max_length; a number far too large (1e30 is common) means no limit.
std::int32_t max_length_of(const formats::Json& config) {
  const auto found = config.find("model_max_length");
  if (!found) return TranslationTokenizer::Settings{}.max_length;
  constexpr std::int32_t largest = std::numeric_limits<std::int32_t>::max();
  const double value = found->number(1.0);
  return value >= static_cast<double>(largest) ? largest : static_cast<std::int32_t>(value);
}

std::string trim(std::string_view text) {
  constexpr std::string_view spaces = " \t\n\r\f\v";
  const std::size_t begin = text.find_first_not_of(spaces);
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(spaces) - begin + 1));
}

formats::JsonWriter& special_tokens(formats::JsonWriter& json) {
  return json.field("eos_token", "</s>").field("unk_token", "<unk>").field("pad_token", "<pad>");
}

void replace_space_symbols(std::string& text) {
  std::string out;
  std::string_view rest = text;
  for (std::size_t at; (at = rest.find(space_symbol)) != std::string_view::npos;) {
    out.append(rest.substr(0, at)).push_back(' ');
    rest.remove_prefix(at + space_symbol.size());
  }
  text = out.append(rest);
}

}  // namespace

TranslationTokenizer::Side::Side(SentencePieceModel m, std::shared_ptr<const Vocabulary> v)
    : model(std::move(m)), vocabulary(std::move(v)), to_vocabulary(static_cast<std::size_t>(model.size())) {
  for (std::int32_t id = 0; id < model.size(); ++id) {
    const std::int32_t found = vocabulary->find(model.piece(id));
    to_vocabulary[static_cast<std::size_t>(id)] = found < 0 ? vocabulary->unk() : found;
  }
}

std::int32_t TranslationTokenizer::Side::id_of(const SentencePieceModel::Encoding& encoding,
                                               const SentencePieceModel::Token& token) const {
  if (token.id != model.unk_id()) return to_vocabulary[static_cast<std::size_t>(token.id)];
  // What this model does not know may be a piece of the other language, which shares the vocabulary; but a
  // text that says "</s>" ends nothing.
  const std::int32_t found = vocabulary->find(encoding.surface(token));
  const bool special = found == vocabulary->eos() || found == vocabulary->pad();
  return found < 0 || special ? vocabulary->unk() : found;
}

std::vector<std::int32_t> TranslationTokenizer::Side::encode(std::string_view text) const {
  return ids(model.encode_with_places(text));
}

TranslationTokenizer::Read TranslationTokenizer::Side::read(std::string_view text) const {
  Read out;
  out.ids = ids(model.encode_with_places(text, out.ranges));
  return out;
}

std::vector<std::int32_t> TranslationTokenizer::Side::ids(
    const SentencePieceModel::Encoding& encoding) const {
  std::vector<std::int32_t> ids;
  ids.reserve(encoding.tokens.size() + 2);
  for (const auto& token : encoding.tokens) ids.push_back(id_of(encoding, token));
  return ids;
}

std::vector<std::string> TranslationTokenizer::Side::pieces(std::span<const std::int32_t> ids) const {
  std::vector<std::string> out;
  out.reserve(ids.size());
  for (const std::int32_t id : ids) out.emplace_back(vocabulary->piece(id));
  return out;
}

TranslationTokenizer::TranslationTokenizer(const SentencePieceModel& joint, Settings settings)
    : source_(joint, std::make_shared<const Vocabulary>(joint)),
      target_(source_),
      settings_(std::move(settings)) {}

TranslationTokenizer::TranslationTokenizer(const SentencePieceModel& source, const SentencePieceModel& target,
                                           Settings settings)
    : source_(source, std::make_shared<const Vocabulary>(source)),
      target_(target, std::make_shared<const Vocabulary>(target)),
      settings_(std::move(settings)) {}

TranslationTokenizer::TranslationTokenizer(Side source, Side target, Settings settings)
    : source_(std::move(source)), target_(std::move(target)), settings_(std::move(settings)) {}

TranslationTokenizer TranslationTokenizer::parse(Files files, const std::filesystem::path& where) {
  const auto name = [&](const char* file) { return (where / file).string(); };
  const auto take = [&](const char* file) {
    const auto found = files.find(file);
    if (found == files.end()) fail(name(file), "missing");
    return std::move(found->second);
  };
  Settings settings;
  bool separate = false;
  if (files.contains("tokenizer_config.json")) {
    const std::string file = name("tokenizer_config.json");
    const auto config = formats::Json::parse(take("tokenizer_config.json"), {file, Error::Kind::model});
    settings.source_language = config.text_or("source_lang", "");
    settings.target_language = config.text_or("target_lang", "");
    settings.max_length = max_length_of(config);
    separate = config.boolean_or("separate_vocabs", false);
  }
  std::string source_bytes = take("source.spm"), target_bytes = take("target.spm");
  const auto vocabulary = [&](const char* file) {
    return std::make_shared<const Vocabulary>(Vocabulary::parse(take(file), name(file)));
  };
  const bool same_model = source_bytes == target_bytes;
  const SentencePieceModel source_model =
      SentencePieceModel::parse(std::move(source_bytes), name("source.spm"));
  const SentencePieceModel target_model =
      same_model ? source_model : SentencePieceModel::parse(std::move(target_bytes), name("target.spm"));
  const auto source_vocabulary = vocabulary("vocab.json");
  const auto target_vocabulary = separate ? vocabulary("target_vocab.json") : source_vocabulary;
  Side source(source_model, source_vocabulary);
  Side target = same_model && !separate ? source : Side(target_model, target_vocabulary);
  return TranslationTokenizer(std::move(source), std::move(target), std::move(settings));
}

TranslationTokenizer TranslationTokenizer::read(const std::filesystem::path& directory) {
  Files files;
  for (const char* file :
       {"source.spm", "target.spm", "vocab.json", "target_vocab.json", "tokenizer_config.json"}) {
    const auto path = directory / file;
    std::error_code error;
    if (std::filesystem::exists(path, error) || error)
      files[file] = read_file(path, largest_file, Error::Kind::model);
  }
  return parse(std::move(files), directory);
}

TranslationTokenizer::Files TranslationTokenizer::files() const {
  Files out;
  out["source.spm"] = source_.model.bytes();
  out["target.spm"] = target_.model.bytes();
  out["vocab.json"] = source_.vocabulary->json();
  if (has_separate_vocabularies()) out["target_vocab.json"] = target_.vocabulary->json();
  out["special_tokens_map.json"] = special_tokens(formats::JsonWriter().begin_object()).end_object().finish();
  formats::JsonWriter config;
  config.begin_object().field("tokenizer_class", "MarianTokenizer");
  config.field("source_lang", settings_.source_language).field("target_lang", settings_.target_language);
  special_tokens(config).field("model_max_length", settings_.max_length);
  config.field("separate_vocabs", has_separate_vocabularies());
  config.key("sp_model_kwargs").begin_object().end_object();
  config.field("clean_up_tokenization_spaces", false);
  out["tokenizer_config.json"] = config.end_object().finish();
  return out;
}

std::int32_t TranslationTokenizer::take_language(std::string_view& text) const {
  const std::size_t end = text.starts_with(">>") ? text.find("<<") : std::string_view::npos;
  if (end == std::string_view::npos) return -1;
  const std::int32_t language = source_.vocabulary->find(text.substr(0, end + 2));
  if (language >= 0) text.remove_prefix(end + 2);
  return language;
}

std::vector<std::int32_t> TranslationTokenizer::encode_source(std::string_view text) const {
  const std::int32_t language = take_language(text);
  std::vector<std::int32_t> ids = source_.encode(text);
  if (language >= 0) ids.insert(ids.begin(), language);
  ids.push_back(source_.vocabulary->eos());
  return ids;
}

std::vector<std::string> TranslationTokenizer::source_words(std::string_view text) const {
  std::vector<std::string> words;
  if (take_language(text) >= 0) words.emplace_back();
  const SentencePieceModel::Encoding encoding = source_.model.encode_with_places(text);
  for (const auto& token : encoding.tokens) {
    const std::string_view surface = encoding.surface(token);
    const bool unknown = source_.id_of(encoding, token) == source_.vocabulary->unk();
    words.push_back(unknown ? std::string(surface)
                            : surrounding_word(encoding.normalised, token.begin, token.length));
  }
  words.emplace_back();  // </s>
  return words;
}

TranslationTokenizer::Read TranslationTokenizer::read_source(std::string_view text) const {
  std::string_view rest = text;
  const std::int32_t language = take_language(rest);
  Read out = source_.read(rest);
  const auto cut = static_cast<std::uint32_t>(text.size() - rest.size());
  for (TextRange& range : out.ranges)
    if (!range.empty()) range = {range.begin + cut, range.end + cut};
  if (language >= 0) {
    out.ids.insert(out.ids.begin(), language);
    out.ranges.insert(out.ranges.begin(), TextRange{0, cut});
  }
  out.ids.push_back(source_.vocabulary->eos());
  out.ranges.push_back({});
  return out;
}

TranslationTokenizer::Read TranslationTokenizer::read_target(std::string_view text) const {
  Read out = target_.read(text);
  out.ids.push_back(target_.vocabulary->eos());
  out.ranges.push_back({});
  return out;
}

std::vector<std::int32_t> TranslationTokenizer::encode_target(std::string_view text) const {
  std::vector<std::int32_t> ids = target_.encode(text);
  ids.push_back(target_.vocabulary->eos());
  return ids;
}

std::string TranslationTokenizer::decode_target(std::span<const std::int32_t> ids) const {
  return decode_target(ids, {});
}

std::string TranslationTokenizer::decode_target(std::span<const std::int32_t> ids,
                                                std::span<const std::string> unknown) const {
  const Vocabulary& vocabulary = *target_.vocabulary;
  std::vector<std::string_view> pieces;
  pieces.reserve(ids.size());
  for (const std::int32_t id : ids) {
    if (id == vocabulary.eos() || id == vocabulary.pad()) continue;
    if (id != vocabulary.unk()) {
      pieces.push_back(vocabulary.piece(id));
      continue;
    }
    if (unknown.empty()) continue;
    std::string_view word = unknown.front();
    unknown = unknown.subspan(1);
    if (!pieces.empty() && pieces.back().ends_with(space_symbol) && word.starts_with(space_symbol))
      word.remove_prefix(space_symbol.size());  // one space is enough
    pieces.push_back(word);
  }
  std::string text = target_.model.decode_pieces(pieces);
  replace_space_symbols(text);  // of pieces that only the vocabulary has
  return trim(text);
}

std::vector<std::string> TranslationTokenizer::source_pieces(std::span<const std::int32_t> ids) const {
  return source_.pieces(ids);
}

std::vector<std::string> TranslationTokenizer::target_pieces(std::span<const std::int32_t> ids) const {
  return target_.pieces(ids);
}

}  // namespace fovea::text
