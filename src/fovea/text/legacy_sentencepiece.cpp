#include "fovea/text/legacy_sentencepiece.h"

#include <array>
#include <span>

#include "fovea/base/base64.h"
#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/text/legacy_parts.h"

namespace fovea::text::legacy {
namespace {

using formats::JsonWriter;
using Path = std::filesystem::path;

/// The languages of mBART, which its SentencePiece file lacks, in the order of their ids.
constexpr std::array mbart_languages{"ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI",
                                     "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX", "kk_KZ", "ko_KR",
                                     "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU",
                                     "si_LK", "tr_TR", "vi_VN", "zh_CN"};

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
  const Made made = unigram(pieces, unknown, file.name);
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
  const Made made = sentencepiece_pairs(file.proto, file.name);
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

}  // namespace

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

}  // namespace fovea::text::legacy
