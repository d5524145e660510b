#include "fovea/text/legacy_tokenizer.h"

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "fovea/base/base64.h"
#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/text/legacy_settings.h"
#include "fovea/text/sentencepiece_proto.h"
#include "fovea/text/utf8.h"

namespace fovea::text {
namespace {

using formats::Json;
using formats::JsonWriter;
using Path = std::filesystem::path;

constexpr std::uint64_t largest_file = 256u << 20;  // bytes
constexpr std::string_view space = "\xE2\x96\x81";  // U+2581
constexpr auto qwen2_words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// The languages of mBART, which its SentencePiece file lacks, in the order of their ids.
constexpr std::array mbart_languages{"ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI",
                                     "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX", "kk_KZ", "ko_KR",
                                     "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU",
                                     "si_LK", "tr_TR", "vi_VN", "zh_CN"};

bool is_there(const Path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

bool among(const std::string& name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

[[noreturn]] void unknown_class(const Path& file, const std::string& kind, const std::string& known) {
  throw Error(Error::Kind::model, shown(file),
              "of a tokenizer of class '" + printable(kind) + "', whose rules are not known",
              "save it as tokenizer.json with Transformers (save_pretrained); known are " + known);
}

// ---- parts of a tokenizer.json

/// Writes {"type": type, ...}; what comes after it is written by `more`.
template <class More>
void object(JsonWriter& json, std::string_view type, const More& more) {
  json.begin_object().field("type", type);
  more();
  json.end_object();
}
void object(JsonWriter& json, std::string_view type) {
  object(json, type, [] {});
}

void byte_level(JsonWriter& json, bool add_prefix_space, bool trim_offsets, bool use_regex) {
  object(json, "ByteLevel", [&] {
    json.field("add_prefix_space", add_prefix_space)
        .field("trim_offsets", trim_offsets)
        .field("use_regex", use_regex);
  });
}

void metaspace(JsonWriter& json, std::string_view scheme, bool split) {
  object(json, "Metaspace",
         [&] { json.field("replacement", space).field("prepend_scheme", scheme).field("split", split); });
}

/// Tokens around a text ("$A") or two ("$A ... $B"), the second text of type `second_type`.
void sequence(JsonWriter& json, std::string_view key, const std::vector<std::string>& parts,
              int second_type) {
  json.key(key).begin_array();
  int type = 0;
  for (const std::string& part : parts) {
    const bool is_text = part == "$A" || part == "$B";
    if (part == "$B") type = second_type;
    json.begin_object().key(is_text ? "Sequence" : "SpecialToken").begin_object();
    json.field("id", is_text ? part.substr(1) : part).field("type_id", type).end_object().end_object();
  }
  json.end_array();
}

struct Template {
  std::vector<std::string> single, pair;
  int second_type = 0;
};

/// The vocabulary as far as it is needed here, and what it is made of.
struct Made {
  std::string model = {};  ///< JSON
  std::unordered_map<std::string, std::int64_t> ids = {};
  std::string file = {};
};

void write_template(JsonWriter& json, const Template& around, const Made& made,
                    const std::vector<AddedPiece>& added) {
  json.key("post_processor");
  object(json, "TemplateProcessing", [&] {
    sequence(json, "single", around.single, 0);
    sequence(json, "pair", around.pair, around.second_type);
    json.key("special_tokens").begin_object();
    std::set<std::string> written;
    for (const auto& parts : {around.single, around.pair})
      for (const std::string& part : parts) {
        if (part.starts_with('$') || !written.insert(part).second) continue;
        // As AddedTokens numbers them: those of the vocabulary have their ids, others follow.
        auto id = static_cast<std::int64_t>(made.ids.size());
        if (const auto known = made.ids.find(part); known != made.ids.end()) {
          id = known->second;
        } else {
          for (const AddedPiece& piece : added) {
            if (piece.content == part) break;
            id += !made.ids.contains(piece.content);
          }
        }
        json.key(part).begin_object().field("id", part);
        json.key("ids").begin_array().value(id).end_array();
        json.key("tokens").begin_array().value(part).end_array().end_object();
      }
    json.end_object();
  });
}

void write_added(JsonWriter& json, const std::vector<AddedPiece>& added) {
  json.key("added_tokens").begin_array();
  std::int64_t id = 0;
  for (const AddedPiece& piece : added) {
    json.begin_object()
        .field("id", id++)
        .field("content", piece.content)
        .field("single_word", piece.single_word);
    json.field("lstrip", piece.lstrip).field("rstrip", piece.rstrip).field("normalized", piece.normalized);
    json.field("special", piece.special).end_object();
  }
  json.end_array();
}

// ---- vocabularies

template <class Members>
void write_vocabulary(JsonWriter& json, const Members& ids) {
  json.key("vocab").begin_object();
  for (const auto& [piece, id] : ids) json.field(piece, id);
  json.end_object();
}

/// The lines of a text as Python reads them.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
    text.remove_prefix(text.starts_with("\r\n") ? 2 : !text.empty());
  }
  return lines;
}

Made word_piece(const Path& file, const std::string& unknown) {
  Made made{.file = shown(file)};
  std::int64_t id = 0;
  const std::string text = repair_utf8(read_file(file, largest_file, Error::Kind::model)).text;
  for (const std::string_view line : lines_of(text)) {
    if (!line.empty()) made.ids.insert_or_assign(std::string(line), id);  // of equal lines the last counts
    ++id;
  }
  JsonWriter json(JsonWriter::Layout::compact);
  object(json, "WordPiece", [&] {
    json.field("unk_token", unknown)
        .field("continuing_subword_prefix", "##")
        .field("max_input_chars_per_word", 100);
    write_vocabulary(json, made.ids);
  });
  made.model = json.finish();
  return made;
}

using Merges = std::vector<std::pair<std::string, std::string>>;

std::string byte_pairs(const Made& made, const Merges& merges, bool of_sentencepiece) {
  JsonWriter json(JsonWriter::Layout::compact);
  object(json, "BPE", [&] {
    json.field("fuse_unk", of_sentencepiece).field("byte_fallback", of_sentencepiece);
    write_vocabulary(json, made.ids);
    json.key("merges").begin_array();
    for (const auto& [left, right] : merges) json.begin_array().value(left).value(right).end_array();
    json.end_array();
  });
  return json.finish();
}

Made byte_level_pairs(const Path& directory) {
  const Path file = directory / "vocab.json", merges_file = directory / "merges.txt";
  Made made{.file = shown(file)};
  const Json vocabulary = formats::read_json(file, Error::Kind::model, formats::JsonLimits::tokenizer());
  for (const auto& [piece, id] : vocabulary.members()) made.ids.emplace(piece, id.integer(0, 1 << 30));
  Merges merges;
  const std::string text = repair_utf8(read_file(merges_file, largest_file, Error::Kind::model)).text;
  int number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    if (line.empty() || line.starts_with("#version")) continue;
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos || line.find(' ', blank + 1) != std::string_view::npos)
      throw Error(Error::Kind::model, shown(merges_file) + ":" + std::to_string(number),
                  "'" + printable(line, 60) + "' is no merge", "a line is two pieces with a space between");
    merges.emplace_back(line.substr(0, blank), line.substr(blank + 1));
  }
  made.model = byte_pairs(made, merges, false);
  return made;
}

/// The pieces of a model that two of its pieces make, in the order of their ids; of one piece, short
/// beginnings first.
Merges merges_of(const SentencePieceProto& proto, const Made& made) {
  Merges merges;
  for (const auto& piece : proto.pieces)
    for (std::size_t at = 1; at < piece.text.size(); ++at) {
      if ((static_cast<unsigned char>(piece.text[at]) & 0xC0) == 0x80) continue;
      std::string left(piece.text.substr(0, at)), right(piece.text.substr(at));
      if (made.ids.contains(left) && made.ids.contains(right))
        merges.emplace_back(std::move(left), std::move(right));
    }
  return merges;
}

using Scored = std::vector<std::pair<std::string, float>>;

std::string unigram(const Scored& pieces, std::int64_t unknown) {
  JsonWriter json(JsonWriter::Layout::compact);
  object(json, "Unigram", [&] {
    json.field("unk_id", unknown).field("byte_fallback", false).key("vocab").begin_array();
    for (const auto& [piece, score] : pieces)
      json.begin_array().value(piece).value(static_cast<double>(score)).end_array();
    json.end_array();
  });
  return json.finish();
}

// ---- kinds

/// Finishes a tokenizer.json; `parts` writes normaliser, pre-tokenizer and decoder.
template <class Parts>
LegacyTokenizer assembled(const Made& made, const LegacySettings& settings,
                          const std::vector<AddedPiece>& more, const std::optional<Template>& around,
                          const Parts& parts) {
  const auto added = settings.added(more);
  JsonWriter json(JsonWriter::Layout::compact);
  json.begin_object().field("version", "1.0");
  write_added(json, added);
  parts(json);
  if (around) write_template(json, *around, made, added);
  std::string text = json.end_object().finish();
  text.pop_back();  // the model goes in as it is
  return {text + ",\"model\":" + made.model + "}", made.file, settings.specials()};
}

LegacyTokenizer bert(const Path& file, LegacySettings& settings) {
  const std::string unknown = settings.special("unk_token", "[UNK]"),
                    sep = settings.special("sep_token", "[SEP]");
  settings.special("pad_token", "[PAD]");
  const std::string cls = settings.special("cls_token", "[CLS]");
  settings.special("mask_token", "[MASK]");
  const Template around{{cls, "$A", sep}, {cls, "$A", sep, "$B", sep}, 1};
  return assembled(word_piece(file, unknown), settings, {}, around, [&](JsonWriter& json) {
    json.key("normalizer");
    object(json, "BertNormalizer", [&] {
      json.field("clean_text", true);
      json.field("handle_chinese_chars", settings.flag("tokenize_chinese_chars", true));
      if (settings.says("strip_accents")) json.field("strip_accents", settings.flag("strip_accents", false));
      json.field("lowercase", settings.flag("do_lower_case", true));
    });
    object(json.key("pre_tokenizer"), "BertPreTokenizer");
    object(json.key("decoder"), "WordPiece", [&] { json.field("prefix", "##").field("cleanup", true); });
  });
}

/// Puts bos and eos where the settings want them.
Template with_ends(const LegacySettings& settings, const std::string& bos, const std::string& eos,
                   bool bos_wanted) {
  const bool add_bos = settings.flag("add_bos_token", bos_wanted) && !bos.empty();
  const bool add_eos = settings.flag("add_eos_token", false) && !eos.empty();
  Template out{{"$A"}, {"$A"}, 1};
  if (add_bos) out.single = out.pair = {bos, "$A"};
  if (add_eos) out.single.push_back(eos);
  if (add_eos) out.pair.push_back(eos);
  out.pair.push_back("$B");
  if (add_bos) out.pair.insert(out.pair.end() - 1, bos);
  if (add_eos) out.pair.push_back(eos);
  return out;
}

LegacyTokenizer gpt2(const Path& directory, LegacySettings& settings) {
  const std::string end = "<|endoftext|>", bos = settings.special("bos_token", end),
                    eos = settings.special("eos_token", end);
  settings.special("unk_token", end);
  settings.special("pad_token", "");
  const bool prefix = settings.flag("add_prefix_space", false);
  return assembled(byte_level_pairs(directory), settings, {}, with_ends(settings, bos, eos, false),
                   [&](JsonWriter& json) {
                     byte_level(json.key("pre_tokenizer"), prefix, true, true);
                     byte_level(json.key("decoder"), true, true, true);
                   });
}

LegacyTokenizer roberta(const Path& directory, LegacySettings& settings) {
  settings.special("bos_token", "<s>");
  settings.special("eos_token", "</s>");
  settings.special("unk_token", "<unk>");
  const std::string sep = settings.special("sep_token", "</s>");
  settings.special("pad_token", "<pad>");
  const std::string cls = settings.special("cls_token", "<s>");
  settings.special("mask_token", "<mask>", true);
  const Template around{{cls, "$A", sep}, {cls, "$A", sep, sep, "$B", sep}, 0};
  const bool prefix = settings.flag("add_prefix_space", false);
  return assembled(byte_level_pairs(directory), settings, {}, around, [&](JsonWriter& json) {
    byte_level(json.key("pre_tokenizer"), prefix, true, true);
    byte_level(json.key("decoder"), true, true, true);
  });
}

LegacyTokenizer qwen2(const Path& directory, LegacySettings& settings) {
  const std::string end = "<|endoftext|>", bos = settings.special("bos_token", ""),
                    eos = settings.special("eos_token", end);
  settings.special("unk_token", end);
  settings.special("pad_token", end);
  return assembled(byte_level_pairs(directory), settings, {}, with_ends(settings, bos, eos, false),
                   [&](JsonWriter& json) {
                     object(json.key("normalizer"), "NFC");
                     object(json.key("pre_tokenizer"), "Sequence", [&] {
                       json.key("pretokenizers").begin_array();
                       object(json, "Split", [&] {
                         json.key("pattern").begin_object().field("Regex", qwen2_words).end_object();
                         json.field("behavior", "Isolated").field("invert", false);
                       });
                       byte_level(json, settings.flag("add_prefix_space", false), true, false);
                       json.end_array();
                     });
                     byte_level(json.key("decoder"), true, true, true);
                   });
}

/// A SentencePiece file, parsed; views into its bytes.
struct ModelFile {
  explicit ModelFile(const Path& path)
      : name(shown(path)),
        bytes(read_file(path, largest_file, Error::Kind::model)),
        proto(parse_sentencepiece_proto(bytes, name)) {}

  void expect(SentencePieceProto::ModelType type, const char* what) const {
    if (proto.trainer.type != type)
      throw Error(Error::Kind::model, name, std::string("is no ") + what + " model");
  }
  /// Pieces from the one numbered `first`.
  Scored pieces(std::size_t first) const {
    Scored out;
    for (std::size_t i = first; i < proto.pieces.size(); ++i)
      out.emplace_back(proto.pieces[i].text, proto.pieces[i].score);
    return out;
  }
  /// Control pieces and user-defined symbols are found in texts before anything is cut.
  std::vector<AddedPiece> symbols() const {
    using Type = SentencePieceProto::PieceType;
    std::vector<AddedPiece> out;
    for (const auto& piece : proto.pieces)
      if (piece.type == Type::control || piece.type == Type::user_defined)
        out.push_back({.content = std::string(piece.text), .special = piece.type == Type::control});
    return out;
  }

  std::string name, bytes;
  SentencePieceProto proto;
};

/// The pipeline around a Unigram model of SentencePiece.
LegacyTokenizer unigram_tokenizer(const ModelFile& file, const Scored& pieces, std::int64_t unknown,
                                  const LegacySettings& settings, std::vector<AddedPiece> more,
                                  const Template& around) {
  Made made{.file = file.name};
  for (std::size_t i = 0; i < pieces.size(); ++i)
    made.ids.emplace(pieces[i].first, static_cast<std::int64_t>(i));
  made.model = unigram(pieces, unknown);
  const std::string_view scheme = settings.flag("add_prefix_space", true) ? "always" : "never";
  return assembled(made, settings, more, around, [&](JsonWriter& json) {
    if (const auto charsmap = file.proto.normaliser.charsmap; !charsmap.empty())
      object(json.key("normalizer"), "Precompiled", [&] {
        json.field("precompiled_charsmap",
                   base64(std::as_bytes(std::span(charsmap.data(), charsmap.size()))));
      });
    object(json.key("pre_tokenizer"), "Sequence", [&] {
      json.key("pretokenizers").begin_array();
      object(json, "WhitespaceSplit");
      metaspace(json, scheme, true);
      json.end_array();
    });
    metaspace(json.key("decoder"), scheme, true);
  });
}

LegacyTokenizer t5(const ModelFile& file, LegacySettings& settings) {
  file.expect(SentencePieceProto::ModelType::unigram, "unigram");
  const std::string eos = settings.special("eos_token", "</s>");
  settings.special("unk_token", "<unk>");
  settings.special("pad_token", "<pad>");
  Scored pieces = file.pieces(0);
  const std::int64_t extra = settings.whole("extra_ids", 100, 0, 10000);
  auto more = file.symbols();
  for (std::int64_t i = extra - 1; i >= 0; --i)
    pieces.emplace_back("<extra_id_" + std::to_string(i) + ">", 0.0f);
  for (std::int64_t i = 0; i < extra; ++i)
    more.push_back({.content = "<extra_id_" + std::to_string(i) + ">"});
  std::int64_t unknown = 0;
  while (file.proto.pieces[static_cast<std::size_t>(unknown)].type != SentencePieceProto::PieceType::unknown)
    ++unknown;
  return unigram_tokenizer(file, pieces, unknown, settings, std::move(more),
                           {{"$A", eos}, {"$A", eos, "$B", eos}});
}

/// Pieces as fairseq numbers them: four of its own in the place of SentencePiece's three.
struct Fairseq {
  Fairseq(const ModelFile& file, LegacySettings& settings) {
    file.expect(SentencePieceProto::ModelType::unigram, "unigram");
    bos = settings.special("bos_token", "<s>");
    eos = settings.special("eos_token", "</s>");
    const std::string unknown = settings.special("unk_token", "<unk>");
    settings.special("sep_token", "</s>");
    const std::string pad = settings.special("pad_token", "<pad>");
    settings.special("cls_token", "<s>");
    mask = settings.special("mask_token", "<mask>", true);
    pieces = {{bos, 0.0f}, {pad, 0.0f}, {eos, 0.0f}, {unknown, 0.0f}};
    for (auto& piece : file.pieces(3)) pieces.push_back(std::move(piece));
  }
  std::string bos, eos, mask;
  Scored pieces;
};

LegacyTokenizer xlm_roberta(const ModelFile& file, LegacySettings& settings) {
  Fairseq fairseq(file, settings);
  const auto& [bos, eos, mask, pieces] = fairseq;
  fairseq.pieces.emplace_back(mask, 0.0f);
  return unigram_tokenizer(file, pieces, 3, settings, file.symbols(),
                           {{bos, "$A", eos}, {bos, "$A", eos, eos, "$B", eos}});
}

LegacyTokenizer mbart(const ModelFile& file, LegacySettings& settings) {
  Fairseq fairseq(file, settings);
  std::vector<AddedPiece> more = file.symbols();
  for (const char* language : mbart_languages) {
    fairseq.pieces.emplace_back(language, 0.0f);
    more.push_back({.content = language});
  }
  fairseq.pieces.emplace_back(fairseq.mask, 0.0f);
  const std::string source = settings.text("src_lang").value_or("en_XX");
  return unigram_tokenizer(file, fairseq.pieces, 3, settings, std::move(more),
                           {{"$A", fairseq.eos, source}, {"$A", "$B", fairseq.eos, source}});
}

LegacyTokenizer llama(const ModelFile& file, LegacySettings& settings) {
  file.expect(SentencePieceProto::ModelType::bpe, "BPE");
  settings.special("unk_token", "<unk>");
  const std::string bos = settings.special("bos_token", "<s>"), eos = settings.special("eos_token", "</s>");
  settings.special("pad_token", "");
  Made made{.file = file.name};
  for (std::size_t i = 0; i < file.proto.pieces.size(); ++i)
    made.ids.emplace(file.proto.pieces[i].text, static_cast<std::int64_t>(i));
  made.model = byte_pairs(made, merges_of(file.proto, made), true);
  const bool prefix = settings.flag("add_prefix_space", true);
  const char* scheme = !prefix ? "never" : settings.flag("legacy", false) ? "always" : "first";
  return assembled(
      made, settings, file.symbols(), with_ends(settings, bos, eos, true), [&](JsonWriter& json) {
        metaspace(json.key("pre_tokenizer"), scheme, false);
        object(json.key("decoder"), "Sequence", [&] {
          json.key("decoders").begin_array();
          object(json, "Replace", [&] {
            json.key("pattern").begin_object().field("String", space).end_object().field("content", " ");
          });
          object(json, "ByteFallback");
          object(json, "Fuse");
          if (prefix)
            object(json, "Strip", [&] { json.field("content", " ").field("start", 1).field("stop", 0); });
          json.end_array();
        });
      });
}

LegacyTokenizer of_sentencepiece(const Path& path, LegacySettings& settings) {
  const std::string& kind = settings.kind();
  if (among(kind, {"T5Tokenizer", "t5", "mt5", "umt5"})) return t5(ModelFile(path), settings);
  if (among(kind, {"XLMRobertaTokenizer", "xlm-roberta"})) return xlm_roberta(ModelFile(path), settings);
  if (among(kind, {"MBartTokenizer", "mbart"})) return mbart(ModelFile(path), settings);
  if (among(kind, {"LlamaTokenizer", "llama", "mistral"})) return llama(ModelFile(path), settings);
  if (!kind.empty())
    unknown_class(path, kind, "T5Tokenizer, XLMRobertaTokenizer, MBartTokenizer and LlamaTokenizer");
  // Nothing says whose it is: by the name that each family gives its file.
  if (path.filename() == "spiece.model") return t5(ModelFile(path), settings);
  if (path.filename() == "sentencepiece.bpe.model") return xlm_roberta(ModelFile(path), settings);
  return llama(ModelFile(path), settings);
}

LegacyTokenizer of_merges(const Path& directory, LegacySettings& settings) {
  const std::string& kind = settings.kind();
  if (kind.empty() || among(kind, {"GPT2Tokenizer", "gpt2", "gpt_neo", "gptj", "opt"}))
    return gpt2(directory, settings);
  if (among(kind, {"RobertaTokenizer", "BartTokenizer", "LongformerTokenizer", "LEDTokenizer",
                   "BlenderbotTokenizer", "roberta", "bart", "longformer", "led"}))
    return roberta(directory, settings);
  if (among(kind, {"Qwen2Tokenizer", "qwen2", "qwen3"})) return qwen2(directory, settings);
  unknown_class(directory / "vocab.json", kind,
                "GPT2Tokenizer, RobertaTokenizer, BartTokenizer and Qwen2Tokenizer");
}

}  // namespace

std::optional<LegacyTokenizer> read_legacy_tokenizer(const Path& directory) {
  const bool has_merges = is_there(directory / "vocab.json") && is_there(directory / "merges.txt");
  if (has_merges || is_there(directory / "vocab.txt")) {
    LegacySettings settings(directory);
    return has_merges ? of_merges(directory, settings) : bert(directory / "vocab.txt", settings);
  }
  for (const char* name : {"spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model"})
    if (is_there(directory / name)) {
      LegacySettings settings(directory);
      return of_sentencepiece(directory / name, settings);
    }
  return std::nullopt;
}

}  // namespace fovea::text
