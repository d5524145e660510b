#include "fovea/text/translation_tokenizer.h"

#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/formats/adapter.h"
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

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

std::optional<formats::Json> config_in(const std::filesystem::path& directory) {
  const auto path = directory / "tokenizer_config.json";
  if (!is_there(path)) return {};
  return formats::read_json(path, Error::Kind::model);
}

// Where a model's tokenizer puts languages, as its class says; saved by newer writers without one, as the
// names of its languages do.
LanguageTokens::Place place_of(const std::optional<formats::Json>& config,
                               const std::filesystem::path& directory) {
  using Place = LanguageTokens::Place;
  const std::string name = config ? config->text_or("tokenizer_class", "") : "";
  if (name.starts_with("Nllb"))
    return config->boolean_or("legacy_behaviour", false) ? Place::after : Place::before;
  if (name.starts_with("MBart50") || name.starts_with("M2M100")) return Place::before;
  if (name.starts_with("MBartTokenizer")) return Place::after;
  const auto described = formats::papers_of(directory, {"config.json"});
  if (!is_there(described / "config.json")) return Place::none;
  const auto model = formats::read_config_of(described);
  return model.text_or("model_type", "") == "m2m_100" ? Place::before : Place::none;
}

// The language that texts are of where nobody says it: the tokenizers' own.
std::string source_of(const std::optional<formats::Json>& config, const AnyText& any) {
  const std::string named = config ? config->text_or("src_lang", "") : "";
  if (!named.empty()) return named;
  for (const char* usual : {"eng_Latn", "en_XX", "__en__"})
    if (any.vocabulary().find(usual) >= 0) return usual;
  return {};
}

// As Hugging Face's M2M100Tokenizer numbers them behind the pieces.
constexpr std::array<std::string_view, 100> m2m100_languages{
    "af", "am", "ar", "ast", "az", "ba",  "be", "bg", "bn", "br", "bs", "ca", "ceb", "cs", "cy", "da", "de",
    "el", "en", "es", "et",  "fa", "ff",  "fi", "fr", "fy", "ga", "gd", "gl", "gu",  "ha", "he", "hi", "hr",
    "ht", "hu", "hy", "id",  "ig", "ilo", "is", "it", "ja", "jv", "ka", "kk", "km",  "kn", "ko", "lb", "lg",
    "ln", "lo", "lt", "lv",  "mg", "mk",  "ml", "mn", "mr", "ms", "my", "ne", "nl",  "no", "ns", "oc", "or",
    "pa", "pl", "ps", "pt",  "ro", "ru",  "sd", "si", "sk", "sl", "so", "sq", "sr",  "ss", "su", "sv", "sw",
    "ta", "th", "tl", "tn",  "tr", "uk",  "ur", "uz", "vi", "wo", "xh", "yi", "yo",  "zh", "zu"};
constexpr std::array<std::string_view, 8> wmt21_languages{"en", "ha", "is", "ja", "cs", "ru", "zh", "de"};

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
    : source_(Side(joint, std::make_shared<const Vocabulary>(joint))),
      target_(source_),
      settings_(std::move(settings)) {}

TranslationTokenizer::TranslationTokenizer(const SentencePieceModel& source, const SentencePieceModel& target,
                                           Settings settings)
    : source_(Side(source, std::make_shared<const Vocabulary>(source))),
      target_(Side(target, std::make_shared<const Vocabulary>(target))),
      settings_(std::move(settings)) {}

TranslationTokenizer::TranslationTokenizer(Side source, Side target, Settings settings)
    : source_(std::move(source)), target_(std::move(target)), settings_(std::move(settings)) {
  languages_ = LanguageTokens(*source_->vocabulary, LanguageTokens::Place::wanted, {}, {});
}

TranslationTokenizer::TranslationTokenizer(std::shared_ptr<const AnyText> any,
                                           const std::filesystem::path& directory)
    : any_(std::move(any)) {
  const auto config = config_in(directory);
  languages_ = LanguageTokens(any_->vocabulary(), place_of(config, directory), source_of(config, *any_),
                              config ? config->text_or("tgt_lang", "") : "");
  settings_ = {.source_language = config ? config->text_or("src_lang", "") : "",
               .target_language = config ? config->text_or("tgt_lang", "") : "",
               .max_length = config ? max_length_of(*config) : Settings{}.max_length};
}

// Pieces of SentencePiece, ids of vocab.json, and behind them the languages in the order of the model's
// makers.
TranslationTokenizer TranslationTokenizer::read_m2m100(const std::filesystem::path& directory) {
  const auto spm = directory / "sentencepiece.bpe.model", json = directory / "vocab.json";
  const auto model =
      SentencePieceModel::parse(read_file(spm, largest_file, Error::Kind::model), spm.string());
  const auto config = config_in(directory);
  const bool wmt21 = config && config->text_or("language_codes", "m2m100") == "wmt21";
  std::vector<std::string> languages;
  for (const std::string_view code : wmt21 ? std::span<const std::string_view>(wmt21_languages)
                                           : std::span<const std::string_view>(m2m100_languages))
    languages.push_back("__" + std::string(code) + "__");
  const auto vocabulary = std::make_shared<const Vocabulary>(
      Vocabulary::parse(read_file(json, largest_file, Error::Kind::model), json.string())
          .extended(languages));
  const Side side(model, vocabulary);
  TranslationTokenizer tokenizer(side, side, {});
  const std::string source = config ? config->text_or("src_lang", "en") : "en";
  const std::string target = config ? config->text_or("tgt_lang", "") : "";
  tokenizer.languages_ = LanguageTokens(*vocabulary, LanguageTokens::Place::before, source, target);
  tokenizer.settings_ = {.source_language = source,
                         .target_language = target,
                         .max_length = config ? max_length_of(*config) : Settings{}.max_length};
  for (const char* name : {"sentencepiece.bpe.model", "vocab.json", "tokenizer_config.json",
                           "special_tokens_map.json", "added_tokens.json"})
    if (is_there(directory / name))
      tokenizer.read_from_[name] = read_file(directory / name, largest_file, Error::Kind::model);
  return tokenizer;
}

const TranslationTokenizer::Side& TranslationTokenizer::side(const std::optional<Side>& side) {
  if (!side) throw Error(Error::Kind::bug, "tokenizer", "is not made of SentencePiece models");
  return *side;
}

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

TranslationTokenizer TranslationTokenizer::read(const std::filesystem::path& folder) {
  const auto directory = formats::tokenizer_papers_of(folder);
  if (!is_there(directory / "source.spm")) {
    if (AnyText::is_in(directory)) return {AnyText::read(directory), directory};
    if (is_there(directory / "sentencepiece.bpe.model")) return read_m2m100(directory);
  }
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
  if (any_) return any_->files();
  if (!read_from_.empty()) return read_from_;
  Files out;
  out["source.spm"] = source_->model.bytes();
  out["target.spm"] = target_->model.bytes();
  out["vocab.json"] = source_->vocabulary->json();
  if (has_separate_vocabularies()) out["target_vocab.json"] = target_->vocabulary->json();
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
  const std::int32_t language = source_->vocabulary->find(text.substr(0, end + 2));
  if (language >= 0) text.remove_prefix(end + 2);
  return language;
}

// A text that any tokenizer cuts; languages stand where the model has them, else what its file puts around.
TranslationTokenizer::Read TranslationTokenizer::read_any(std::string_view text, bool is_target) const {
  if (languages_.place() == LanguageTokens::Place::none) {
    Encoding encoding = any_->framed(text);
    return {std::move(encoding.ids), std::move(encoding.ranges)};
  }
  Encoding encoding = any_->tokens(text);
  Read out{std::move(encoding.ids), std::move(encoding.ranges)};
  out.ids.push_back(any_->vocabulary().eos());
  out.ranges.push_back({});
  is_target ? languages_.frame_target(out.ids, &out.ranges) : languages_.frame_source(out.ids, &out.ranges);
  return out;
}

std::vector<std::int32_t> TranslationTokenizer::encode_source(std::string_view text) const {
  if (any_) return read_any(text, false).ids;
  const std::int32_t language = take_language(text);
  std::vector<std::int32_t> ids = source_->encode(text);
  if (language >= 0) ids.insert(ids.begin(), language);
  ids.push_back(source_->vocabulary->eos());
  languages_.frame_source(ids);
  return ids;
}

std::vector<std::string> TranslationTokenizer::source_words(std::string_view text) const {
  std::vector<std::string> words;
  if (any_) {
    for (const TextRange& range : read_any(text, false).ranges) {
      const bool begins = range.begin == 0 || text[range.begin - 1] == ' ';
      words.push_back(range.empty() ? std::string()
                                    : (begins ? std::string(space_symbol) : std::string()) +
                                          trim(text.substr(range.begin, range.end - range.begin)));
    }
    return words;
  }
  if (take_language(text) >= 0) words.emplace_back();
  const SentencePieceModel::Encoding encoding = source_->model.encode_with_places(text);
  for (const auto& token : encoding.tokens) {
    const std::string_view surface = encoding.surface(token);
    const bool unknown = source_->id_of(encoding, token) == source_->vocabulary->unk();
    words.push_back(unknown ? std::string(surface)
                            : surrounding_word(encoding.normalised, token.begin, token.length));
  }
  words.emplace_back();  // </s>
  std::vector<std::int32_t> framed(words.size(), source_->vocabulary->unk());
  languages_.frame_source(framed);
  const bool first = framed.size() > words.size() && languages_.closing() == 1;
  if (framed.size() > words.size()) words.emplace(first ? words.begin() : words.end());
  return words;
}

TranslationTokenizer::Read TranslationTokenizer::read_source(std::string_view text) const {
  if (any_) return read_any(text, false);
  std::string_view rest = text;
  const std::int32_t language = take_language(rest);
  Read out = source_->read(rest);
  const auto cut = static_cast<std::uint32_t>(text.size() - rest.size());
  for (TextRange& range : out.ranges)
    if (!range.empty()) range = {range.begin + cut, range.end + cut};
  if (language >= 0) {
    out.ids.insert(out.ids.begin(), language);
    out.ranges.insert(out.ranges.begin(), TextRange{0, cut});
  }
  out.ids.push_back(source_->vocabulary->eos());
  out.ranges.push_back({});
  languages_.frame_source(out.ids, &out.ranges);
  return out;
}

TranslationTokenizer::Read TranslationTokenizer::read_target(std::string_view text) const {
  if (any_) return read_any(text, true);
  Read out = target_->read(text);
  out.ids.push_back(target_->vocabulary->eos());
  out.ranges.push_back({});
  languages_.frame_target(out.ids, &out.ranges);
  return out;
}

std::vector<std::int32_t> TranslationTokenizer::encode_target(std::string_view text) const {
  if (any_) return read_any(text, true).ids;
  std::vector<std::int32_t> ids = target_->encode(text);
  ids.push_back(target_->vocabulary->eos());
  languages_.frame_target(ids);
  return ids;
}

std::vector<std::int32_t> TranslationTokenizer::target_tokens(std::string_view text) const {
  return any_ ? any_->tokens(text).ids : target_->encode(text);
}

std::string TranslationTokenizer::decode_target(std::span<const std::int32_t> ids) const {
  return decode_target(ids, {});
}

std::string TranslationTokenizer::decode_target(std::span<const std::int32_t> ids,
                                                std::span<const std::string> unknown) const {
  if (any_) return trim(any_->decode(ids, unknown));
  const Vocabulary& vocabulary = *target_->vocabulary;
  std::vector<std::string_view> pieces;
  pieces.reserve(ids.size());
  for (const std::int32_t id : ids) {
    if (id == vocabulary.eos() || id == vocabulary.pad() || languages_.is_language(id)) continue;
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
  std::string text = target_->model.decode_pieces(pieces);
  replace_space_symbols(text);  // of pieces that only the vocabulary has
  return trim(text);
}

std::vector<std::string> TranslationTokenizer::source_pieces(std::span<const std::int32_t> ids) const {
  return any_ ? any_->pieces(ids) : source_->pieces(ids);
}

std::vector<std::string> TranslationTokenizer::target_pieces(std::span<const std::int32_t> ids) const {
  return any_ ? any_->pieces(ids) : target_->pieces(ids);
}

}  // namespace fovea::text
